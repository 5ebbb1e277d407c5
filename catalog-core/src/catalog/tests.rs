use serde_json::{Value, json};
use stockade_change_feed::{Failure, ManualClock, Retry, Timestamp};
use stockade_inventory_core::Sku;

use super::*;
use crate::memory::MemoryCatalog;
use crate::product::{Currency, Media, Money, ProductContent, Slug, Variant};

fn type_name(name: &str) -> ProductTypeName {
    ProductTypeName::new(name).unwrap()
}

fn chair(id: &str) -> ProductContent {
    let slug = Slug::new(id).unwrap();
    ProductContent::new(
        ProductId::new(id).unwrap(),
        slug,
        "Chair",
        type_name("furniture"),
    )
}

fn any(content: ProductContent) -> ProductWrite {
    ProductWrite {
        content,
        expected: Expected::Any,
    }
}

async fn catalog() -> Catalog {
    let catalog = Catalog::new(Arc::new(MemoryCatalog::new()));
    let furniture = ProductType::permissive(type_name("furniture"));
    let change = catalog.put_type(furniture).await.unwrap();
    assert_eq!(change.effect, WriteEffect::Created);
    catalog
}

/// The field that a change of a good product is refused for.
async fn refused(catalog: &Catalog, change: impl FnOnce(&mut ProductContent)) -> String {
    let mut content = chair("chair");
    content.variants = vec![Variant::new(Sku::new("chair-1").unwrap())];
    change(&mut content);
    match catalog.put(any(content)).await {
        Err(CatalogError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_field_is_bounded_and_refused_by_its_path() {
    let catalog = catalog().await;
    let long = |bytes: usize| "x".repeat(bytes);
    let many = |count: usize| vec!["x".to_owned(); count];
    let media = |url: String, alt: String| Media { url, alt };
    macro_rules! refuses {
        ($($field:literal: |$p:ident| $change:expr;)*) => {
            $(assert_eq!(refused(&catalog, |$p| { $change; }).await, $field);)*
        };
    }
    refuses! {
        "title": |p| p.title = String::new();
        "title": |p| p.title = " ".to_owned();
        "title": |p| p.title = long(301);
        "title": |p| p.title = "a\nb".to_owned();
        "description": |p| p.description = long(20_001);
        "description": |p| p.description = "a\0b".to_owned();
        "brand": |p| p.brand = Some(long(301));
        "category": |p| p.category = many(11);
        "category[1]": |p| p.category = vec!["a".to_owned(), long(101)];
        "media": |p| p.media = vec![media("u".to_owned(), String::new()); 51];
        "media[0].url": |p| p.media = vec![media(long(2_049), String::new())];
        "media[0].alt": |p| p.media = vec![media("u".to_owned(), long(501))];
        "attributes": |p| p.attributes.insert("a".into(), json!(long(70_000)));
        "attributes.a": |p| p.attributes.insert("a".into(), nested(16));
        "attributes.a[1].b": |p| p.attributes.insert("a".into(), json!([1, {"b": "\0"}]));
        "attributes": |p| p.attributes.insert("\0".into(), json!(1));
        "variants": |p| p.variants = (0..501)
            .map(|n| Variant::new(Sku::new(n.to_string()).unwrap())).collect();
        "variants[1].sku": |p| p.variants.push(p.variants[0].clone());
        "variants[0].name": |p| p.variants[0].name = Some(String::new());
        "variants[0].options": |p| p.variants[0].options = (0..21)
            .map(|n| (n.to_string(), "x".to_owned())).collect();
        "variants[0].options": |p| p.variants[0].options.insert(long(101), "x".to_owned());
        "variants[0].options.size": |p| p.variants[0].options.insert("size".into(), long(301));
        "variants[0].price.minor": |p| p.variants[0].price = Some(Money {
            minor: 1 << 53,
            currency: Currency::new("USD").unwrap(),
        });
        "variants[0].attributes.a": |p| p.variants[0].attributes.insert("a".into(), json!("\0"));
        "product": |p| p.variants = (0..20)
            .map(|n| {
                let mut variant = Variant::new(Sku::new(n.to_string()).unwrap());
                variant.attributes.insert("a".into(), json!(long(60_000)));
                variant
            }).collect();
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[tokio::test]
async fn the_bounds_themselves_are_allowed() {
    let catalog = catalog().await;
    let mut content = chair("chair");
    content.title = "é".repeat(300);
    content.description = "a\nb\t".repeat(5_000);
    content.attributes.insert("a".into(), nested(15));
    let written = catalog.put(any(content)).await.unwrap();
    assert_eq!(written.effect, WriteEffect::Created);
}

#[tokio::test]
async fn a_refused_write_keeps_no_other_from_being_written() {
    let catalog = catalog().await;
    let mut lamp = chair("lamp");
    lamp.product_type = type_name("lamp");
    let mut untitled = chair("untitled");
    untitled.title.clear();
    let writes = [chair("a"), lamp, untitled, chair("b")].map(any);
    let outcomes = catalog.put_many(writes.into()).await.unwrap();
    assert!(outcomes[0].is_ok());
    assert!(matches!(
        outcomes[1],
        Err(CatalogError::UnknownProductType { .. })
    ));
    assert!(matches!(outcomes[2], Err(CatalogError::Invalid { .. })));
    assert_eq!(
        outcomes[3].as_ref().unwrap().product.content.id.as_str(),
        "b"
    );
}

#[tokio::test]
async fn a_changed_type_reports_the_products_that_do_not_follow_it() {
    let catalog = catalog().await;
    for number in 0..30 {
        let mut content = chair(&format!("p{number:02}"));
        if number % 10 == 0 {
            content.attributes.insert("wood_type".into(), json!("oak"));
        }
        catalog.put(any(content)).await.unwrap();
    }
    let stricter = ProductType::permissive(type_name("furniture"))
        .with_schema(json!({"required": ["wood_type"]}));
    let change = catalog.put_type(stricter.clone()).await.unwrap();
    assert_eq!(change.effect, WriteEffect::Updated);
    assert_eq!(change.nonconforming, Some(27));
    assert_eq!(change.examples.len(), 20);
    assert_eq!(change.examples[0].as_str(), "p01");
    let again = catalog.put_type(stricter).await.unwrap();
    assert_eq!(
        (again.effect, again.nonconforming),
        (WriteEffect::Unchanged, Some(27))
    );

    let mut old = chair("p01");
    old.title = "Another".to_owned();
    let error = catalog.put(any(old)).await.unwrap_err();
    assert!(
        matches!(&error, CatalogError::SchemaViolated { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("attributes.wood_type"),
        "{error}"
    );
}

/// A catalogue in memory that does not list its products as usual.
#[derive(Debug)]
struct Listing {
    inner: MemoryCatalog,
    fault: Fault,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Fails,
    Hangs,
    NeverEnds,
}

#[async_trait::async_trait]
impl CatalogStore for Listing {
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        self.inner.put(writes).await
    }
    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError> {
        self.inner.delete(id, expected).await
    }
    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        self.inner.get(keys).await
    }
    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        match self.fault {
            Fault::Fails => Err(Failure::refused("find", "scripted").into()),
            Fault::Hangs => std::future::pending().await,
            Fault::NeverEnds => self.inner.find(&ProductQuery::first(query.limit)).await,
        }
    }
    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        self.inner.put_type(product_type).await
    }
    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        self.inner.get_types(names).await
    }
    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
        self.inner.all_types().await
    }
}

#[tokio::test]
async fn a_stored_type_is_no_failure_where_its_products_can_not_be_counted() {
    for fault in [Fault::Fails, Fault::Hangs, Fault::NeverEnds] {
        let inner = MemoryCatalog::new();
        let furniture = ProductType::permissive(type_name("furniture"));
        inner.put_type(&furniture).await.unwrap();
        let writes = [any(chair("a")), any(chair("b"))];
        for outcome in inner.put(&writes).await.unwrap() {
            outcome.unwrap();
        }
        let deadline = match fault {
            Fault::Hangs => Duration::from_millis(50),
            Fault::Fails | Fault::NeverEnds => Duration::from_secs(600),
        };
        let catalog = Catalog::new(Arc::new(Listing { inner, fault })).with_timeout(deadline);
        let stricter = furniture.with_schema(json!({"required": ["wood_type"]}));
        let change = catalog.put_type(stricter.clone()).await.unwrap();
        assert_eq!(change.effect, WriteEffect::Updated);
        assert_eq!(change.nonconforming, None, "{fault:?}");
        assert_eq!(catalog.types().await.unwrap(), [stricter]);
    }
}

/// A catalogue in memory of which some answers are lost, or never came to be.
struct Shaky {
    inner: MemoryCatalog,
    /// What becomes of the next calls that write; all others work.
    faults: Mutex<Vec<Trouble>>,
    /// How many products each call wrote.
    puts: Mutex<Vec<usize>>,
}

#[derive(Clone, Copy)]
enum Trouble {
    /// Nothing takes effect.
    Unavailable,
    /// It takes effect, and the reply is lost.
    ReplyLost,
    /// The last product of the call fails, the others are written.
    LastFails,
}

impl Shaky {
    fn next(&self) -> Option<Trouble> {
        self.faults.lock().unwrap().pop()
    }
}

fn unavailable() -> CatalogError {
    Failure::unavailable("put", Duration::ZERO, "scripted").into()
}

#[async_trait::async_trait]
impl CatalogStore for Shaky {
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        self.puts.lock().unwrap().push(writes.len());
        match self.next() {
            Some(Trouble::Unavailable) => Err(unavailable()),
            Some(Trouble::ReplyLost) => {
                self.inner.put(writes).await?;
                Err(Failure::outcome_unknown("put", "scripted").into())
            }
            Some(Trouble::LastFails) => {
                let (_, others) = writes.split_last().unwrap();
                let mut outcomes = self.inner.put(others).await?;
                outcomes.push(Err(unavailable()));
                Ok(outcomes)
            }
            None => self.inner.put(writes).await,
        }
    }
    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError> {
        match self.next() {
            Some(_) => Err(unavailable()),
            None => self.inner.delete(id, expected).await,
        }
    }
    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        self.inner.get(keys).await
    }
    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        self.inner.find(query).await
    }
    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        self.inner.put_type(product_type).await
    }
    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        self.inner.get_types(names).await
    }
    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
        self.inner.all_types().await
    }
}

#[tokio::test]
async fn writes_that_fail_in_a_way_that_may_pass_are_repeated() {
    let store = Arc::new(Shaky {
        inner: MemoryCatalog::new(),
        faults: Mutex::new(vec![
            Trouble::LastFails,
            Trouble::ReplyLost,
            Trouble::Unavailable,
        ]),
        puts: Mutex::default(),
    });
    let catalog = Catalog::new(store.clone());
    let furniture = ProductType::permissive(type_name("furniture"));
    catalog.put_type(furniture).await.unwrap();
    let new = |name: &str| ProductWrite {
        content: chair(name),
        expected: Expected::Absent,
    };
    let outcomes = catalog.put_many(vec![new("a"), new("b")]).await.unwrap();
    let effects: Vec<_> = outcomes.into_iter().map(|o| o.unwrap().effect).collect();
    assert_eq!(
        effects,
        [WriteEffect::Unchanged; 2],
        "written by the second call"
    );
    assert_eq!(
        *store.puts.lock().unwrap(),
        [2, 2, 2, 1],
        "only what failed"
    );
    store.faults.lock().unwrap().push(Trouble::Unavailable);
    let deleted = catalog.delete(&chair("a").id, Expected::Any).await;
    assert_eq!(deleted.unwrap(), Deleted::Removed);
}

#[tokio::test]
async fn a_store_that_stays_away_fails_the_call_at_its_deadline() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let store = Shaky {
        inner: MemoryCatalog::new(),
        faults: Mutex::new(vec![Trouble::Unavailable; 1_000]),
        puts: Mutex::default(),
    };
    let catalog = Catalog::new(Arc::new(store)).with_clock(clock.clone());
    let time_passes = async {
        loop {
            clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    let id = chair("a").id;
    let outcome = tokio::select! {
        outcome = catalog.delete(&id, Expected::Any) => outcome,
        () = time_passes => return,
    };
    assert!(matches!(outcome.unwrap_err().retry(), Retry::After(_)));
    assert!(clock.monotonic() <= Duration::from_secs(5));
}

#[tokio::test]
async fn a_type_that_another_process_changed_counts_at_once() {
    let store = Arc::new(MemoryCatalog::new());
    let catalog = Catalog::new(store.clone());
    let furniture = ProductType::permissive(type_name("furniture"));
    catalog.put_type(furniture.clone()).await.unwrap();
    catalog.put(any(chair("a"))).await.unwrap();
    let nothing = furniture.with_schema(json!(false));
    store.put_type(&nothing).await.unwrap();
    let error = catalog.put(any(chair("b"))).await.unwrap_err();
    assert!(
        matches!(error, CatalogError::SchemaViolated { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn calls_are_bounded() {
    let catalog = catalog().await;
    let limit = NonZeroUsize::new(1_001).unwrap();
    let error = catalog.find(&ProductQuery::first(limit)).await.unwrap_err();
    assert!(matches!(error, CatalogError::Invalid { ref field, .. } if field == "limit"));
    let keys = vec![ProductKey::Id(ProductId::new("a").unwrap()); 1_001];
    assert!(catalog.get(&keys).await.is_err());
}

#[tokio::test]
async fn compiled_types_that_are_kept_are_bounded_in_memory() {
    let catalog = catalog().await;
    let patterns: serde_json::Map<String, Value> = (0..50)
        .map(|n| (format!("p{n}"), json!({"pattern": format!("^[a-z]+{n}$")})))
        .collect();
    let kept = || -> (usize, usize) {
        let kept = catalog.compiled.lock().unwrap();
        (kept.len(), kept.values().map(|one| one.bytes()).sum())
    };
    let mut most = 0;
    for number in 0..12 {
        let named = ProductType::permissive(type_name(&format!("t{number}")));
        let schema = json!({"properties": patterns});
        catalog.put_type(named.with_schema(schema)).await.unwrap();
        let (count, bytes) = kept();
        assert!(bytes <= COMPILED_BYTES, "{count} types of {bytes} bytes");
        most = most.max(count);
    }
    assert!(most > 1);
}
