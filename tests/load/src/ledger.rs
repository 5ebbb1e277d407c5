//! What Postgres has, and whether it is what was promised.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::ensure;
use sqlx::{PgPool, Row as _};

/// How a reservation has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Released,
    Confirmed,
    Cancelled,
    Fulfilled,
    Expired,
}

impl Wanted {
    fn state(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
            Self::Fulfilled => "fulfilled",
            Self::Expired => "expired",
        }
    }
}

/// How long after their deadlines reservations expired.
pub(crate) struct Lateness {
    pub(crate) count: i64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) most: Duration,
}

pub(crate) struct Ledger(PgPool);

impl Ledger {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self(PgPool::connect(url).await?))
    }

    /// Waits until no reservation is overdue or will be soon.
    pub(crate) async fn is_quiet(&self, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM inventory.reservations
                 WHERE state = 'held' AND deadline < now() + interval '1 minute'",
            )
            .fetch_one(&self.0)
            .await?;
            if waiting == 0 {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < patience,
                "{waiting} reservations do not expire"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The available units of each SKU.
    pub(crate) async fn available(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let rows = sqlx::query(
            "SELECT sku, sum(physical - reserved - escrowed)::bigint AS available
             FROM inventory.levels GROUP BY sku",
        )
        .fetch_all(&self.0)
        .await?;
        let mut available = BTreeMap::new();
        for row in rows {
            available.insert(row.try_get("sku")?, row.try_get("available")?);
        }
        Ok(available)
    }

    /// What is wrong, in sentences.
    pub(crate) async fn check(&self, wanted: &[(String, Wanted)]) -> anyhow::Result<Vec<String>> {
        let mut findings = self.wrong_counts().await?;
        let rows = sqlx::query(
            "SELECT r.id, r.state::text, jsonb_array_length(r.lines) AS lines,
                 count(m.*) FILTER (WHERE m.cause = 'expired') AS returned,
                 count(m.*) FILTER (WHERE m.cause = 'reserved') AS taken
             FROM inventory.reservations AS r
             LEFT JOIN inventory.movements AS m ON m.cause_id = r.id
             GROUP BY r.id",
        )
        .fetch_all(&self.0)
        .await?;
        let mut found: HashMap<String, (String, i64, i64, i64)> = HashMap::new();
        for row in rows {
            let lines: i32 = row.try_get("lines")?;
            found.insert(
                row.try_get("id")?,
                (
                    row.try_get("state")?,
                    lines.into(),
                    row.try_get("returned")?,
                    row.try_get("taken")?,
                ),
            );
        }
        for (id, wanted) in wanted {
            let Some((state, lines, returned, taken)) = found.remove(id) else {
                findings.push(format!("{id} was granted, and is not there"));
                continue;
            };
            let owed = if *wanted == Wanted::Expired { lines } else { 0 };
            if state != wanted.state() || returned != owed || taken != lines {
                findings.push(format!(
                    "{id} of {lines} lines should be {}: it is {state}, took {taken} and returned \
                     {returned} by expiry",
                    wanted.state()
                ));
            }
        }
        findings.extend(
            found
                .into_keys()
                .map(|id| format!("nobody was granted {id}")),
        );
        Ok(findings)
    }

    /// Levels that are not the sum of their movements, or do not hold what reservations do.
    async fn wrong_counts(&self) -> anyhow::Result<Vec<String>> {
        let wrong: Vec<String> = sqlx::query_scalar(
            "SELECT format('%s has %s units, %s reserved; its movements add up to %s and %s, its \
                 reservations to %s', l.sku, l.physical, l.reserved, m.physical, m.reserved, r.units)
             FROM inventory.levels AS l
             JOIN LATERAL (
                 SELECT sum(physical) AS physical, sum(reserved) AS reserved
                 FROM inventory.movements WHERE sku = l.sku AND location = l.location
             ) AS m ON true
             JOIN LATERAL (
                 SELECT coalesce(sum((line->>'quantity')::bigint), 0) AS units
                 FROM inventory.reservations AS r, jsonb_array_elements(r.lines) AS line
                 WHERE r.state IN ('held', 'confirmed')
                     AND line->>'sku' = l.sku AND line->>'location' = l.location
             ) AS r ON true
             WHERE (l.physical, l.reserved) <> (m.physical, m.reserved) OR l.reserved <> r.units
                 OR l.reserved > l.physical",
        )
        .fetch_all(&self.0)
        .await?;
        Ok(wrong)
    }

    pub(crate) async fn lateness(&self) -> anyhow::Result<Lateness> {
        let row = sqlx::query(
            "SELECT count(*) AS count,
                 (1000 * coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY late), 0))::bigint AS p50,
                 (1000 * coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY late), 0))::bigint AS p99,
                 (1000 * coalesce(max(late), 0))::bigint AS most
             FROM (
                 SELECT extract(epoch FROM changed_at - deadline) AS late
                 FROM inventory.reservations WHERE state = 'expired'
             ) AS expired",
        )
        .fetch_one(&self.0)
        .await?;
        let millis = |name| -> anyhow::Result<Duration> {
            let millis: i64 = row.try_get(name)?;
            Ok(Duration::from_millis(millis.try_into()?))
        };
        Ok(Lateness {
            count: row.try_get("count")?,
            p50: millis("p50")?,
            p99: millis("p99")?,
            most: millis("most")?,
        })
    }
}
