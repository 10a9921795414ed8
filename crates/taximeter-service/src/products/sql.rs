//! The statements of products, and how a row becomes one.

use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{Id, Product as ProductKind};

use super::{Product, already_exists, still_has_prices};
use crate::ctx::{Ctx, word};
use crate::error::Result;
use crate::page::ListSql;
use crate::params::{Choice as _, Path};
use crate::search::{Field, FieldKind, FieldValue, Searchable};
use crate::{list_sql, stored};

impl Row for Product {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            name: cells.get("name")?,
            active: cells.get("active")?,
            kind: word(cells, "type")?,
            description: cells.get("description")?,
            images: stored::read(cells, "images")?,
            marketing_features: stored::read(cells, "marketing_features")?,
            metadata: stored::read(cells, "metadata")?,
            package_dimensions: stored::read_optional(cells, "package_dimensions")?,
            shippable: cells.get("shippable")?,
            statement_descriptor: cells.get("statement_descriptor")?,
            tax_code: cells.get("tax_code")?,
            performance_location: cells.get("performance_location")?,
            unit_label: cells.get("unit_label")?,
            url: cells.get("url")?,
            default_price: cells.get("default_price")?,
            created: cells.get("created")?,
            updated: cells.get("updated")?,
        })
    }
}

impl Searchable for Product {
    const FIELDS: &'static [Field] = &[
        Field { name: "active", kind: FieldKind::Token },
        Field { name: "description", kind: FieldKind::Text },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "name", kind: FieldKind::Text },
        Field { name: "shippable", kind: FieldKind::Token },
        Field { name: "url", kind: FieldKind::Text },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "active" => FieldValue::Bool(self.active),
            "description" => self.description.as_deref().into(),
            "metadata" => FieldValue::Map(&self.metadata),
            "name" => FieldValue::Text(&self.name),
            "shippable" => self.shippable.map_or(FieldValue::Null, FieldValue::Bool),
            "url" => self.url.as_deref().into(),
            _ => FieldValue::Null,
        }
    }
}

pub(super) const SEQ: &str =
    "SELECT seq FROM products WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) const LIST: ListSql = list_sql!(
    "SELECT * FROM products WHERE account = $1 AND livemode = $2",
    " AND ($6 IS NULL OR active = $6)",
    " AND ($7 IS NULL OR created >= $7) AND ($8 IS NULL OR created <= $8)",
    " AND ($9 IS NULL OR REPLACE($9, ',' || id || ',', '') <> $9)",
    " AND ($10 IS NULL OR shippable = $10)",
    " AND ($11 IS NULL OR type = $11)",
    " AND ($12 IS NULL OR url = $12)",
);

pub(super) const ALL: ListSql =
    list_sql!("SELECT * FROM products WHERE account = $1 AND livemode = $2");

/// Ids as one text, `,a,,b,`, so that one statement serves any number of them: an id is in it when
/// taking `,id,` out changes it. No id holds a comma.
pub(super) fn id_set(ids: &[Id<ProductKind>]) -> String {
    ids.iter().map(|id| format!(",{id},")).collect()
}

const FIND: &str = "SELECT * FROM products WHERE account = $1 AND livemode = $2 AND id = $3";

pub(super) async fn find(ctx: &mut Ctx, id: &str) -> Result<Option<Product>> {
    if let Some(known) = ctx.known().products.get(id) {
        return Ok(Some(known.clone()));
    }
    let args = ctx.args([Arg::from(id)]);
    let found: Option<Product> = ctx.tx.optional(FIND, args).await?;
    if let Some(found) = &found {
        ctx.known().products.insert(id.to_owned(), found.clone());
    }
    Ok(found)
}

pub(super) async fn find_locked(ctx: &mut Ctx, id: &str) -> Result<Option<Product>> {
    let args = ctx.args([Arg::from(id)]);
    Ok(ctx.tx.optional_for_update(FIND, args).await?)
}

pub(super) async fn has_prices(ctx: &mut Ctx, id: &Id<ProductKind>) -> Result<bool> {
    let args = ctx.args([Arg::from(id)]);
    let sql = "SELECT id FROM prices WHERE account = $1 AND livemode = $2 AND product = $3 \
               ORDER BY seq LIMIT 1";
    let found: Option<String> = ctx.tx.optional(sql, args).await?;
    Ok(found.is_some())
}

/// The columns that can change, in the order of both statements below.
fn columns(product: &Product) -> Result<[Arg; 16]> {
    Ok([
        Arg::from(product.name.as_str()),
        Arg::from(product.active),
        Arg::Text(product.description.clone()),
        stored::write(&product.images)?,
        stored::write(&product.marketing_features)?,
        stored::write(&product.metadata)?,
        stored::write_optional(product.package_dimensions.as_ref())?,
        Arg::Bool(product.shippable),
        Arg::Text(product.statement_descriptor.clone()),
        Arg::Text(product.tax_code.clone()),
        Arg::Text(product.performance_location.clone()),
        Arg::Text(product.unit_label.clone()),
        Arg::Text(product.url.clone()),
        Arg::from(product.default_price.as_ref()),
        Arg::from(product.updated),
        Arg::from(product.kind.as_str()),
    ])
}

pub(super) async fn insert(ctx: &mut Ctx, product: &Product, path: Path<'_>) -> Result<()> {
    let mut args = ctx.args([Arg::from(&product.id)]);
    args.extend(columns(product)?);
    args.push(Arg::from(product.created));
    let sql = "INSERT INTO products (account, livemode, id, name, active, description, images, \
               marketing_features, metadata, package_dimensions, shippable, statement_descriptor, \
               tax_code, performance_location, unit_label, url, default_price, updated, type, \
               created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
               $17, $18, $19, $20)";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        // Another request took the id between the look and the insert.
        Err(error) if error.is_unique() => Err(already_exists(path)),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn update(ctx: &mut Ctx, product: &Product) -> Result<()> {
    ctx.known().products.remove(product.id.as_str());
    let mut args = ctx.args([Arg::from(&product.id)]);
    args.extend(columns(product)?);
    let sql = "UPDATE products SET name = $4, active = $5, description = $6, images = $7, \
               marketing_features = $8, metadata = $9, package_dimensions = $10, shippable = $11, \
               statement_descriptor = $12, tax_code = $13, performance_location = $14, \
               unit_label = $15, url = $16, default_price = $17, updated = $18, type = $19 \
               WHERE account = $1 AND livemode = $2 AND id = $3";
    ctx.tx.execute(sql, args).await?;
    Ok(())
}

pub(super) async fn delete(ctx: &mut Ctx, id: &Id<ProductKind>) -> Result<()> {
    ctx.known().products.remove(id.as_str());
    let args = ctx.args([Arg::from(id)]);
    let sql = "DELETE FROM products WHERE account = $1 AND livemode = $2 AND id = $3";
    match ctx.tx.execute(sql, args).await {
        Ok(_) => Ok(()),
        // Another request gave it a price since the look.
        Err(DbError::ForeignKey { .. }) => Err(still_has_prices()),
        Err(error) => Err(error.into()),
    }
}
