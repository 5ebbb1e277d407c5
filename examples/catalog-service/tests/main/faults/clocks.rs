//! Clocks that are wrong by minutes. A heartbeat has the time of inventory's Postgres, and a page
//! compares it with the clock of the catalogue's process. So the clock of either may be wrong: here it
//! is that of Postgres.

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, Process, eventually, within};

use super::restored::RAISE_EPOCH;
use crate::site::{Site, from_cache, lamps, page, reserve, shows};

/// Functions of the time that are found before those of Postgres.
const FUNCTIONS: &str = "
    CREATE SCHEMA IF NOT EXISTS wrong;
    CREATE OR REPLACE FUNCTION wrong.now() RETURNS timestamptz STABLE LANGUAGE sql
        AS $$ SELECT pg_catalog.now() + interval '{by}' $$;
    CREATE OR REPLACE FUNCTION wrong.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS $$ SELECT pg_catalog.clock_timestamp() + interval '{by}' $$;
    ALTER DATABASE {database} SET search_path = wrong, pg_catalog, public;";

/// Sets the clock of inventory's Postgres, before the first process connects to it or later.
async fn set_clock(site: &Site, by: &str) {
    let functions = FUNCTIONS.replace("{by}", by);
    let functions = functions.replace("{database}", &site.database("inventory"));
    site.run_sql_of_inventory(functions).await;
}

/// Looks for some seconds: no page is from the cache.
async fn stays_off_the_cache(catalog: &Process) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let page = page(catalog).await;
        assert!(page.iter().all(|it| it.source != "cache"), "{page:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_inventory_while_its_clock_is_behind_by_minutes() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    set_clock(&site, "-5 minutes").await;
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    eventually("the cache is filled and followed", || async {
        site.cached_units(24) == Some(24) && site.cached(" filled") == "1"
    })
    .await;
    reserve(&inventory, 3).await;
    eventually("the sale is seen", || async {
        shows(&catalog, "inventory", &[1, 2, 2]).await
    })
    .await;
    stays_off_the_cache(&catalog).await;

    set_clock(&site, "0").await;
    within(PATIENCE * 2, "the page is from the cache", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_inventory_once_its_clock_was_ahead_by_minutes_until_the_epoch_is_raised() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    set_clock(&site, "0").await;
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;

    set_clock(&site, "5 minutes").await;
    eventually("pages turn to inventory, and the log says why", || async {
        shows(&catalog, "inventory", &[1, 2, 3]).await
            && catalog.log().contains("in the future; check the clocks")
    })
    .await;
    // A clock that was set right has yet to reach the newest heartbeat.
    set_clock(&site, "0").await;
    reserve(&inventory, 3).await;
    eventually("the sale is seen", || async {
        shows(&catalog, "inventory", &[1, 2, 2]).await
    })
    .await;
    stays_off_the_cache(&catalog).await;

    site.run_sql_of_inventory(RAISE_EPOCH.to_owned()).await;
    within(PATIENCE * 2, "the page is from the cache", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}
