//! What is bound to the placeholders of a statement.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Id, Mode};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;

/// One argument: bound to `$1`, `$2`, ... by position. A NULL has a type, since PostgreSQL asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// For `{int}` columns.
    Int(Option<i64>),
    /// For `{text}` columns. May not hold U+0000.
    Text(Option<String>),
    /// For `{bool}` columns.
    Bool(Option<bool>),
    /// For `{bytes}` columns.
    Bytes(Option<Vec<u8>>),
}

/// A type that can be bound, as itself or as an `Option` of itself.
pub trait Bind {
    /// The NULL of the same column type.
    const NULL: Arg;
    /// The value as an argument.
    fn bind(self) -> Arg;
}

impl<T: Bind> From<Option<T>> for Arg {
    fn from(value: Option<T>) -> Self {
        value.map_or(T::NULL, Bind::bind)
    }
}

/// Each line is a type, the argument it becomes, and how. `Option` of it comes with [`Bind`].
macro_rules! binds {
    ($([$($generics:tt)*] $type:ty => $arg:ident, |$value:ident| $bound:expr;)*) => {$(
        impl<$($generics)*> Bind for $type {
            const NULL: Arg = Arg::$arg(None);
            fn bind(self) -> Arg {
                let $value = self;
                Arg::$arg(Some($bound))
            }
        }
        impl<$($generics)*> From<$type> for Arg {
            fn from(value: $type) -> Self {
                value.bind()
            }
        }
    )*};
}

binds! {
    [] i64 => Int, |n| n;
    [] i32 => Int, |n| i64::from(n);
    [] i16 => Int, |n| i64::from(n);
    [] i8 => Int, |n| i64::from(n);
    [] u32 => Int, |n| i64::from(n);
    [] u16 => Int, |n| i64::from(n);
    [] u8 => Int, |n| i64::from(n);
    [] Timestamp => Int, |at| at.0;
    [] &str => Text, |text| text.to_owned();
    [] &String => Text, |text| text.clone();
    [] String => Text, |text| text;
    [K: taximeter_kernel::id::Kind] Id<K> => Text, |id| id.as_str().to_owned();
    [K: taximeter_kernel::id::Kind] &Id<K> => Text, |id| id.as_str().to_owned();
    [] Currency => Text, |currency| currency.code().to_owned();
    [] Decimal => Text, |number| number.to_string();
    [] bool => Bool, |flag| flag;
    [] Mode => Bool, |mode| mode.is_live();
    [] Vec<u8> => Bytes, |bytes| bytes;
    [] &[u8] => Bytes, |bytes| bytes.to_vec();
}

/// The arguments of a statement: `args![&customer.id, 7, None::<&str>]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Arg::from($value)),*] };
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_kernel::id::Customer;

    #[test]
    fn an_absent_value_keeps_the_type_of_its_column() {
        let absent = args![None::<i64>, None::<&str>, None::<bool>, None::<&[u8]>];
        assert_eq!(absent, [Arg::Int(None), Arg::Text(None), Arg::Bool(None), Arg::Bytes(None)]);
        assert_eq!(
            args![None::<&Id<Customer>>, None::<Timestamp>],
            [Arg::Text(None), Arg::Int(None)]
        );
    }

    #[test]
    fn kernel_values_are_bound_as_they_are_stored() {
        let id = Id::<Customer>::generate([7; 32]);
        let rate: Decimal = "0.0130".parse().unwrap();
        assert_eq!(
            args![&id, Timestamp(13), rate, Mode::Live],
            [
                Arg::Text(Some("cus_77777777777777".to_owned())),
                Arg::Int(Some(13)),
                Arg::Text(Some("0.013".to_owned())),
                Arg::Bool(Some(true)),
            ]
        );
    }

    #[test]
    fn a_plain_literal_is_an_integer() {
        assert_eq!(args![7], [Arg::Int(Some(7))]);
    }
}
