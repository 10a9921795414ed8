//! What a request may say about a product.

use taximeter_kernel::id::{Id, Product as ProductKind};

use super::{
    AtMost, ChosenId, Dimension, PackageDimensions, Product, ProductType, StatementDescriptor,
    TaxCode, Url,
};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, Path, Range, Text};
use crate::prices::{DefaultPriceData, Exact};

/// The most pictures of a product (Stripe's).
pub(super) const IMAGES_MAX: usize = 8;
/// The most marketing features of a product (Stripe's).
pub(super) const MARKETING_FEATURES_MAX: usize = 15;
/// The longest description, in characters (Stripe's).
pub(super) const DESCRIPTION_CHARS_MAX: usize = 40_000;
/// The longest unit label, in characters (Stripe's).
pub const UNIT_LABEL_CHARS_MAX: usize = 12;

type Images = AtMost<Url, IMAGES_MAX>;
type MarketingFeatures = AtMost<MarketingFeature, MARKETING_FEATURES_MAX>;

crate::params! {
    /// Something a product offers.
    pub struct MarketingFeature {
        /// What it is called.
        pub name: Text<80>,
    }
}

crate::params! {
    /// The size and weight of what is shipped.
    pub struct PackageDimensionsInput {
        /// Inches.
        pub height: Dimension,
        /// Inches.
        pub length: Dimension,
        /// Ounces.
        pub weight: Dimension,
        /// Inches.
        pub width: Dimension,
    }
}

crate::params! {
    /// How a product is taxed.
    pub struct TaxDetailsInput {
        /// The id of the tax location where the performance takes place.
        pub performance_location: Clear<Text<255>>,
        /// The tax code.
        pub tax_code: Clear<TaxCode>,
    }
}

crate::params! {
    /// What a new product is made of.
    pub struct Create {
        /// Whether it can be bought; it can unless told otherwise.
        pub active: Option<bool>,
        /// A price to make with it, which becomes its default price.
        pub default_price_data: Option<DefaultPriceData>,
        /// The description customers see.
        pub description: Option<Text<DESCRIPTION_CHARS_MAX>>,
        /// Its id, if not a random one.
        pub id: Option<ChosenId>,
        /// Addresses of pictures.
        pub images: Option<Images>,
        /// What it offers.
        pub marketing_features: Option<MarketingFeatures>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The name customers see.
        pub name: Text,
        /// Size and weight.
        pub package_dimensions: Option<PackageDimensionsInput>,
        /// Whether it is shipped.
        pub shippable: Option<bool>,
        /// What a card statement shows.
        pub statement_descriptor: Option<StatementDescriptor>,
        /// The tax code.
        pub tax_code: Option<TaxCode>,
        /// The tax code, and the place of the performance.
        pub tax_details: Option<TaxDetailsInput>,
        /// What kind of thing it is; a service unless told otherwise.
        pub r#type: Option<ProductType>,
        /// What one unit is called on invoices.
        pub unit_label: Option<Text<UNIT_LABEL_CHARS_MAX>>,
        /// A public page about it.
        pub url: Option<Url>,
    }
}

crate::params! {
    /// What of a product changes.
    pub struct Update {
        /// Whether it can be bought.
        pub active: Option<bool>,
        /// Its default price, one of its own.
        pub default_price: Clear<Id<taximeter_kernel::id::Price>>,
        /// The description customers see.
        pub description: Clear<Text<DESCRIPTION_CHARS_MAX>>,
        /// Addresses of pictures, all of them.
        pub images: Clear<Images>,
        /// What it offers, all of it.
        pub marketing_features: Clear<MarketingFeatures>,
        /// Keys and values to change.
        pub metadata: MetadataChange,
        /// The name customers see.
        pub name: Option<Text>,
        /// Size and weight.
        pub package_dimensions: Clear<PackageDimensionsInput>,
        /// Whether it is shipped.
        pub shippable: Option<bool>,
        /// What a card statement shows.
        pub statement_descriptor: Clear<StatementDescriptor>,
        /// The tax code.
        pub tax_code: Clear<TaxCode>,
        /// The tax code, and the place of the performance.
        pub tax_details: Clear<TaxDetailsInput>,
        /// What one unit is called on invoices.
        pub unit_label: Clear<Text<UNIT_LABEL_CHARS_MAX>>,
        /// A public page about it.
        pub url: Clear<Url>,
    }
}

crate::params! {
    /// A list of products.
    pub struct List with page {
        /// Only those that can be bought, or cannot.
        pub active: Option<bool>,
        /// Only those made within this range.
        pub created: Range,
        /// Only these.
        pub ids: Option<Vec<Id<ProductKind>>>,
        /// Only those that are shipped, or are not.
        pub shippable: Option<bool>,
        /// Only those of this kind.
        pub r#type: Option<ProductType>,
        /// Only those with this public page.
        pub url: Option<Text>,
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

impl From<PackageDimensionsInput> for PackageDimensions {
    fn from(input: PackageDimensionsInput) -> Self {
        Self {
            height: Exact(input.height.0),
            length: Exact(input.length.0),
            weight: Exact(input.weight.0),
            width: Exact(input.width.0),
        }
    }
}

fn addresses(images: Images) -> Vec<String> {
    images.0.into_iter().map(Into::into).collect()
}

fn names(features: MarketingFeatures) -> Vec<String> {
    features.0.into_iter().map(|feature| feature.name.into()).collect()
}

/// What an optional parameter of a new product says, as a change of nothing.
fn set<T>(sent: Option<T>) -> Clear<T> {
    sent.map_or(Clear::Keep, Clear::Set)
}

impl Create {
    /// The product that the parameters at `path` describe.
    pub(super) fn product(self, ctx: &Ctx, path: Path<'_>) -> Result<Product> {
        let mut product = Product {
            seq: 0,
            id: self.id.map_or_else(|| ctx.new_id(), |id| id.0),
            livemode: ctx.scope().mode.is_live(),
            name: self.name.into(),
            active: self.active.unwrap_or(true),
            kind: self.r#type.unwrap_or(ProductType::Service),
            description: self.description.map(Into::into),
            images: self.images.map(addresses).unwrap_or_default(),
            marketing_features: self.marketing_features.map(names).unwrap_or_default(),
            metadata: self.metadata.0,
            package_dimensions: self.package_dimensions.map(Into::into),
            shippable: self.shippable,
            statement_descriptor: self.statement_descriptor.map(Into::into),
            tax_code: None,
            performance_location: None,
            unit_label: self.unit_label.map(Into::into),
            url: self.url.map(Into::into),
            default_price: None,
            created: ctx.now,
            updated: ctx.now,
        };
        apply_tax(&mut product, set(self.tax_code), set(self.tax_details), path)?;
        check_kind(&product, path)?;
        Ok(product)
    }
}

impl Update {
    /// Puts the change on a product, but for the default price, which takes a look at it.
    pub(super) fn apply(self, product: &mut Product) -> Result<()> {
        if let Some(name) = self.name {
            product.name = name.into();
        }
        if let Some(active) = self.active {
            product.active = active;
        }
        if let Some(shippable) = self.shippable {
            product.shippable = Some(shippable);
        }
        match self.images {
            Clear::Keep => {}
            Clear::Unset => product.images.clear(),
            Clear::Set(images) => product.images = addresses(images),
        }
        match self.marketing_features {
            Clear::Keep => {}
            Clear::Unset => product.marketing_features.clear(),
            Clear::Set(features) => product.marketing_features = names(features),
        }
        self.description.apply(&mut product.description);
        self.package_dimensions.apply(&mut product.package_dimensions);
        self.statement_descriptor.apply(&mut product.statement_descriptor);
        self.unit_label.apply(&mut product.unit_label);
        self.url.apply(&mut product.url);
        self.metadata.apply(&mut product.metadata)?;
        apply_tax(product, self.tax_code, self.tax_details, Path::ROOT)?;
        check_kind(product, Path::ROOT)
    }
}

/// Puts `tax_code` and `tax_details` on a product. They are two ways to say one tax code, so they
/// may not contradict each other.
fn apply_tax(
    product: &mut Product,
    tax_code: Clear<TaxCode>,
    details: Clear<TaxDetailsInput>,
    path: Path<'_>,
) -> Result<()> {
    match details {
        Clear::Keep => {}
        Clear::Unset => (product.tax_code, product.performance_location) = (None, None),
        Clear::Set(details) => {
            if !tax_code.is_keep() && !details.tax_code.is_keep() && tax_code != details.tax_code {
                return Err(Error::invalid(
                    "You may only specify one of these parameters: tax_code, \
                     tax_details[tax_code].",
                )
                .code("parameters_exclusive")
                .param(path.child("tax_code").to_string()));
            }
            details.performance_location.apply(&mut product.performance_location);
            details.tax_code.apply(&mut product.tax_code);
        }
    }
    tax_code.apply(&mut product.tax_code);
    Ok(())
}

/// What only a service may have.
fn check_kind(product: &Product, path: Path<'_>) -> Result<()> {
    if product.kind == ProductType::Service {
        return Ok(());
    }
    let service_only = [
        ("statement_descriptor", product.statement_descriptor.is_some()),
        ("unit_label", product.unit_label.is_some()),
    ];
    match service_only.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::invalid(format!("`{name}` may only be set if `type=service`."))
                .param(path.child(name).to_string()))
        }
    }
}
