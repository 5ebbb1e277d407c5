//! Where the server of a URL can't be used, the reason is told, and which server it is.

use std::net::TcpListener;

use sqlx::{AssertSqlSafe, PgPool};
use stack::{Postgres, Server as _};
use stockade_change_feed::Retry;
use stockade_postgres::connect;

/// What is said of a server that can't be used, and whether to try again.
async fn refusal(url: &str, words: &[&str]) -> Retry {
    let error = connect(url).await.expect_err("it can't be used");
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    assert!(!said.contains("secret"), "{said}");
    error.retry()
}

/// A server of its own; none where no server is asked for at all.
async fn server() -> Option<Postgres> {
    crate::harness::url().ok()?;
    let start = tokio::task::spawn_blocking(Postgres::start);
    Some(start.await.unwrap().unwrap())
}

async fn end(server: Postgres) {
    let ending = tokio::task::spawn_blocking(move || drop(server));
    ending.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let url = format!("postgres://shop:secret@{address}/shop");
    let retry = refusal(&url, &[&address, "refused"]).await;
    assert!(matches!(retry, Retry::After(_)), "{retry:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing() {
    let Some(server) = server().await else { return };
    server.pause();
    let address = server.address().to_string();
    let retry = refusal(&server.url(), &[&address, "no answer within"]).await;
    assert!(matches!(retry, Retry::After(_)), "{retry:?}");
    server.resume();
    end(server).await;
}

#[tokio::test]
async fn a_server_that_knows_no_such_role_password_or_database() {
    let Some(server) = server().await else { return };
    let address = server.address().to_string();
    let url = |user: &str, database: &str| format!("postgres://{user}@{address}/{database}");
    let never = |retry| assert_eq!(retry, Retry::Never);

    never(refusal(&url("postgres", "missing"), &[&address, "missing"]).await);
    never(refusal(&url("nobody", "postgres"), &[&address, "nobody"]).await);

    let pool = connect(&server.url()).await.unwrap();
    ask_for_passwords(&pool).await;
    let wrong = url("shop:secret", "postgres");
    never(refusal(&wrong, &[&address, "password", "shop"]).await);
    let right = connect(&url("shop:right", "postgres")).await.unwrap();
    let who: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(&right)
        .await
        .unwrap();
    assert_eq!(who, "shop");
    end(server).await;
}

/// Has everybody but `postgres` give a password.
async fn ask_for_passwords(pool: &PgPool) {
    let show = sqlx::query_scalar("SHOW hba_file");
    let file: String = show.fetch_one(pool).await.unwrap();
    let rules = "('host all postgres all trust'), ('host all all all scram-sha-256')";
    let write = format!("COPY (VALUES {rules}) TO '{file}'");
    let role = "CREATE ROLE shop LOGIN PASSWORD 'right'";
    for sql in [role, &write, "SELECT pg_reload_conf()"] {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_url_is_not_shown() {
    for url in [
        "localhost",
        "shop:secret@localhost",
        "postgres://shop:secret@localhost:port/shop",
    ] {
        let retry = refusal(url, &["URL", "postgres://"]).await;
        assert_eq!(retry, Retry::Never, "{url}");
    }
}
