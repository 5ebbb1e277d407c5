//! A database that was restored from a backup: versions run backwards.

use service_kit::testing::{PATIENCE, Process, eventually, within};

use crate::site::{Site, VARIANTS, from_cache, lamps, receive, reserve, shows, sku, units};
use crate::topic::StockTopic;

/// Raises the epoch, as the README of stockade-postgres says for an operator.
pub(super) const RAISE_EPOCH: &str = "\
    BEGIN;
    SET LOCAL lock_timeout = '2s';
    LOCK TABLE inventory.levels IN EXCLUSIVE MODE;
    INSERT INTO inventory.epochs (epoch) SELECT max(epoch) + 1 FROM inventory.epochs;
    UPDATE inventory.levels
    SET epoch = (SELECT max(epoch) FROM inventory.epochs), unpublished = true;
    COMMIT;";

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_shown_once_its_epoch_is_raised() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;
    inventory.stop();
    let (database, backup) = (site.database("inventory"), site.database("backup"));
    let copy = format!("CREATE DATABASE {backup} TEMPLATE {database}");
    site.run_sql(copy).await;

    // What the backup does not have.
    let inventory = site.inventory();
    for _ in 0..3 {
        receive(&inventory, 3, 10).await;
    }
    eventually("the deliveries are seen", || async {
        shows(&catalog, "cache", &[1, 2, 33]).await
    })
    .await;
    inventory.stop();
    let drop = format!("DROP DATABASE {database} WITH (FORCE)");
    site.run_sql(drop).await;
    let rename = format!("ALTER DATABASE {backup} RENAME TO {database}");
    site.run_sql(rename).await;

    // What the measure is for: without it, states of the restored database look old.
    let inventory = site.inventory();
    reserve(&inventory, 3).await;
    reserve(&inventory, 4).await;
    within(PATIENCE * 2, "the last sale is seen", || async {
        shows(&catalog, "cache", &[1, 2, 33, 3]).await
    })
    .await;
    StockTopic::of(&site).await.is_read().await;
    assert_eq!(site.cached_units(3), Some(33));
    assert_eq!(available(&inventory, 3).await, 2);

    // First the relay is stopped, then the epoch is raised.
    inventory.stop();
    site.run_sql_of_inventory(RAISE_EPOCH.to_owned()).await;
    let inventory = site.inventory();
    within(PATIENCE * 2, "the restored stock is seen", || async {
        shows(&catalog, "cache", &[1, 2, 2, 3]).await
    })
    .await;
    let expected = (1..VARIANTS as u64).map(|number| match number {
        3 | 4 => number - 1,
        number => number,
    });
    assert!(expected.eq(units(&catalog).await));
    // Changes are followed as before.
    receive(&inventory, 3, 4).await;
    eventually("a change is seen", || async {
        shows(&catalog, "cache", &[1, 2, 6, 3]).await
    })
    .await;
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}

/// What the inventory service itself says of a variant.
async fn available(inventory: &Process, number: usize) -> u64 {
    let stock = inventory.read(&format!("/stock/{}", sku(number))).await;
    stock["available"].as_u64().unwrap()
}
