//! The two declarations that inputs are written with.

/// Declares the input of a verb: a struct whose members are the parameters it honours.
///
/// `with page` adds the `limit`, `starting_after` and `ending_before` of a list; `with said: Update`
/// takes the parameters of another declaration, too, as a member of its own.
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident {
        $( $(#[$field_meta:meta])* pub $field:ident : $type:ty ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type ),* }

        impl $crate::params::Members for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn take(fields: &mut $crate::params::Fields<'_>) -> $crate::error::Result<Self> {
                let input = Self { $( $field: fields.take(stringify!($field))? ),* };
                fields.close();
                Ok(input)
            }

            fn schemas() -> Vec<(&'static str, $crate::params::Schema)> {
                vec![$((
                    stringify!($field).trim_start_matches("r#"),
                    <$type as $crate::params::Decode>::schema(),
                )),*]
            }
        }

        impl $crate::params::Decode for $name {
            fn decode(
                node: Option<$crate::params::Node>,
                path: $crate::params::Path<'_>,
            ) -> $crate::error::Result<Self> {
                let known = <Self as $crate::params::Members>::NAMES;
                let mut fields = $crate::params::Fields::open(node, path, known)?;
                <Self as $crate::params::Members>::take(&mut fields)
            }

            fn schema() -> $crate::params::Schema {
                $crate::params::Schema::Fields(<Self as $crate::params::Members>::schemas())
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident with $rest:ident : $rest_type:ty {
        $( $(#[$field_meta:meta])* pub $field:ident : $type:ty ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// What it says beside that.
            pub $rest: $rest_type,
        }

        impl $crate::params::Decode for $name {
            fn decode(
                node: Option<$crate::params::Node>,
                path: $crate::params::Path<'_>,
            ) -> $crate::error::Result<Self> {
                let rest = <$rest_type as $crate::params::Members>::NAMES;
                let known = [&[$(stringify!($field)),*], rest].concat();
                let mut fields = $crate::params::Fields::open(node, path, &known)?;
                Ok(Self {
                    $( $field: fields.take(stringify!($field))?, )*
                    $rest: <$rest_type as $crate::params::Members>::take(&mut fields)?,
                })
            }

            fn schema() -> $crate::params::Schema {
                let mut members = vec![$((
                    stringify!($field).trim_start_matches("r#"),
                    <$type as $crate::params::Decode>::schema(),
                )),*];
                members.extend(<$rest_type as $crate::params::Members>::schemas());
                $crate::params::Schema::Fields(members)
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident with page {
        $( $(#[$field_meta:meta])* pub $field:ident : $type:ty ),* $(,)?
    }) => {
        $crate::params! {
            $(#[$meta])*
            pub struct $name {
                $( $(#[$field_meta])* pub $field: $type, )*
                /// How many objects to return.
                pub limit: $crate::params::Limit,
                /// The id of the object after which the page starts: what is older.
                pub starting_after: Option<$crate::params::Text<255>>,
                /// The id of the object before which the page ends: what is newer.
                pub ending_before: Option<$crate::params::Text<255>>,
            }
        }

        impl $name {
            /// Which part of the list is asked for.
            ///
            /// # Errors
            /// A 400 when both cursors are given.
            pub fn page(&self) -> $crate::error::Result<$crate::page::Page> {
                $crate::page::Page::new(
                    self.limit, self.starting_after.as_deref(), self.ending_before.as_deref(),
                )
            }
        }
    };
}

/// Declares an enum whose values are words on the wire and in the database.
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident {
        $( $(#[$value_meta:meta])* $value:ident = $word:literal ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $( $(#[$value_meta])* $value ),* }

        // In a JSON column it is its word.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str($crate::params::Choice::as_str(*self))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize<'de>>::deserialize(from)?;
                <Self as $crate::params::Choice>::from_word(&word)
                    .ok_or_else(|| serde::de::Error::custom(format!("no such word: {word}")))
            }
        }

        $crate::choice! { for $name { $( $value = $word ),* } }
    };
    (for $name:ident { $( $value:ident = $word:literal ),* $(,)? }) => {
        impl $crate::params::Choice for $name {
            const ALL: &'static [Self] = &[$( Self::$value ),*];
            fn as_str(self) -> &'static str {
                match self { $( Self::$value => $word ),* }
            }
        }

        impl $crate::params::Decode for $name {
            fn decode(
                node: Option<$crate::params::Node>,
                path: $crate::params::Path<'_>,
            ) -> $crate::error::Result<Self> {
                <Self as $crate::params::Choice>::decode_word(node, path)
            }
            fn schema() -> $crate::params::Schema {
                $crate::params::Schema::Leaf
            }
        }
    };
}
