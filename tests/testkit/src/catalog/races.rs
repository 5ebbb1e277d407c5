//! Concurrent calls have the outcomes of some sequential order.

use serde_json::json;
use stockade_catalog_core::{
    CatalogError, Deleted, Expected, Product, ProductContent, ProductKey, ProductWrite,
    WriteEffect, Written,
};

use super::CatalogHarness;
use super::shop::{Shop, id, object, product, slug};
use crate::together;

const WRITERS: usize = 32;

type Outcome = Result<Written, CatalogError>;

async fn put_at_once(shop: &Shop, writes: Vec<(ProductContent, Expected)>) -> Vec<Outcome> {
    together(writes.into_iter().map(|(content, expected)| {
        let shop = shop.clone();
        async move { shop.put(&content, expected).await }
    }))
    .await
}

/// The one that succeeded.
fn winner(outcomes: &[Outcome], what: &str) -> Product {
    let mut won = outcomes.iter().flatten();
    let first = won.next();
    let first = first.unwrap_or_else(|| panic!("no writer won {what}: {outcomes:?}"));
    let others = won.count();
    assert_eq!(others, 0, "several writers won {what}");
    first.product.clone()
}

/// A tee as each writer would have it.
fn tees() -> impl Iterator<Item = ProductContent> {
    (0..WRITERS).map(|writer| {
        let mut content = product("tee", &["tee-m"]);
        content.title = format!("By writer {writer}");
        content.variants[0].name = Some(content.title.clone());
        content
    })
}

pub(super) async fn one_of_many_writers_wins<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut current = shop.change(&product("tee", &["tee-m"])).await;
    for _ in 0..3 {
        let expected = Expected::Version(current.version);
        let outcomes = put_at_once(&shop, tees().map(|tee| (tee, expected)).collect()).await;
        let won = winner(&outcomes, "with one expected version");
        for outcome in &outcomes {
            match outcome {
                Ok(_) => {}
                Err(CatalogError::VersionConflict { current, .. }) => {
                    let told = current.as_deref();
                    assert_eq!(
                        told,
                        Some(&won),
                        "a losing writer gets the winner's product"
                    );
                }
                Err(other) => panic!("a losing writer gets a conflict, not {other}"),
            }
        }
        assert!(won.version > current.version);
        assert_eq!(shop.by_id("tee").await.as_ref(), Some(&won));
        // So that nobody's content is what is there already.
        current = shop.change(&product("tee", &["tee-m"])).await;
    }
}

pub(super) async fn one_of_many_creators_wins<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let writes = tees().map(|tee| (tee, Expected::Absent)).collect();
    let outcomes = put_at_once(&shop, writes).await;
    let won = winner(&outcomes, "that expected nothing to be there");
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Ok(_) | Err(CatalogError::VersionConflict { .. })),
            "a losing writer gets a conflict, not {outcome:?}"
        );
    }
    assert_eq!(shop.by_id("tee").await, Some(won));
}

pub(super) async fn concurrent_repeats_agree<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let content = product("tee", &["tee-s", "tee-m"]);
    let writes = vec![(content, Expected::Absent); WRITERS];
    let outcomes = put_at_once(&shop, writes).await;
    let stored = shop.by_id("tee").await;
    let mut created = 0;
    for outcome in outcomes {
        let written = outcome.unwrap_or_else(|error| {
            panic!("one write, sent by several, conflicts with itself: {error}")
        });
        created += usize::from(written.effect == WriteEffect::Created);
        assert_eq!(Some(written.product), stored);
    }
    assert_eq!(created, 1, "one write creates the product once");
}

pub(super) async fn a_slug_has_one_winner<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let writes = (0..WRITERS).map(|writer| {
        let mut content = product(&format!("tee-{writer}"), &[]);
        content.slug = slug("tee");
        (content, Expected::Any)
    });
    let outcomes = put_at_once(&shop, writes.collect()).await;
    let won = winner(&outcomes, "one slug");
    for outcome in outcomes {
        match outcome {
            Ok(_) => {}
            Err(CatalogError::SlugTaken { slug: of, owner }) => {
                assert_eq!((of, &owner), (slug("tee"), &won.content.id));
            }
            Err(other) => panic!("a writer that loses a slug gets its owner, not {other}"),
        }
    }
    assert_eq!(shop.by(ProductKey::Slug(slug("tee"))).await, Some(won));
}

pub(super) async fn a_sku_has_one_winner<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let names = || (0..WRITERS).map(|writer| format!("tee-{writer}"));
    let writes = names().map(|name| (product(&name, &["m"]), Expected::Any));
    let outcomes = put_at_once(&shop, writes.collect()).await;
    let won = winner(&outcomes, "one SKU");
    for outcome in outcomes {
        match outcome {
            Ok(_) => {}
            Err(CatalogError::SkuTaken { owner, .. }) => assert_eq!(owner, won.content.id),
            Err(other) => panic!("a writer that loses a SKU gets its owner, not {other}"),
        }
    }
    let keys: Vec<_> = names().map(|name| ProductKey::Id(id(&name))).collect();
    let stored: Vec<_> = shop.get(&keys).await.into_iter().flatten().collect();
    assert_eq!(
        stored,
        [won],
        "the product of a losing writer is not stored"
    );
}

pub(super) async fn a_write_and_a_deletion_have_one_winner<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for round in 0..16 {
        let mut content = product("tee", &["tee-m"]);
        content.title = format!("Round {round}");
        let expected = Expected::Version(shop.change(&content).await.version);
        content.title.push('!');
        let (writer, deleter, tee) = (shop.clone(), shop.clone(), content.clone());
        let wins = together([
            Box::pin(async move { writer.put(&tee, expected).await.is_ok() })
                as std::pin::Pin<Box<dyn Future<Output = bool> + Send>>,
            Box::pin(async move {
                let deleted = deleter.store.delete(&id("tee"), expected).await;
                deleted.is_ok_and(|deleted| deleted == Deleted::Removed)
            }),
        ])
        .await;
        let stored = shop.by_id("tee").await.map(|product| product.content);
        match wins[..] {
            [true, false] => assert_eq!(stored, Some(content), "the write won"),
            [false, true] => assert_eq!(stored, None, "the deletion won"),
            _ => panic!("a write and a deletion with one expected version: won {wins:?}"),
        }
    }
}

pub(super) async fn opposite_orders_do_not_deadlock<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let names: Vec<String> = (0..8).map(|n| format!("tee-{n}")).collect();
    let outcomes = together((0..24).map(|writer: usize| {
        let (shop, mut names) = (shop.clone(), names.clone());
        names.rotate_left(writer / 2 % 8);
        if writer % 2 == 1 {
            names.reverse();
        }
        async move {
            let writes: Vec<_> = names
                .iter()
                .map(|name| {
                    let mut content = product(name, &[&format!("{name}-m")]);
                    content.title = format!("By writer {writer}");
                    let expected = Expected::Any;
                    ProductWrite { content, expected }
                })
                .collect();
            shop.store
                .put(&writes)
                .await
                .expect("the call as a whole succeeds")
        }
    }))
    .await;
    for outcome in outcomes.into_iter().flatten() {
        assert!(
            outcome.is_ok(),
            "a write without an expected version failed: {outcome:?}"
        );
    }
    assert_eq!(shop.ids_with(json!({})).await, names);
}

pub(super) async fn readers_see_one_snapshot<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let state = |number: usize| {
        // One variant more or less in turn, so that rows come and go as well.
        let skus = ["tee-s", "tee-m", "tee-l"];
        let mut content = product("tee", &skus[..1 + number % 3]);
        content.title = number.to_string();
        content.attributes = object(json!({"number": number}));
        for variant in &mut content.variants {
            variant.name = Some(number.to_string());
        }
        content
    };
    shop.change(&state(0)).await;
    let writer = shop.clone();
    let writing = tokio::spawn(async move {
        for number in 1..60 {
            writer.change(&state(number)).await;
        }
    });
    let mut reads = 0;
    while !writing.is_finished() || reads < 10 {
        let keys = [
            ProductKey::Id(id("tee")),
            ProductKey::Slug(slug("tee")),
            ProductKey::Sku(super::shop::sku("tee-s")),
        ];
        for found in shop.get(&keys).await {
            let Some(found) = found else {
                panic!("a product was not found while it changed");
            };
            let number = found.content.title.parse().unwrap_or_default();
            assert_eq!(
                found.content,
                state(number),
                "a read mixes two states of a product"
            );
        }
        reads += 1;
        tokio::task::yield_now().await;
    }
    assert!(writing.await.is_ok());
}
