//! Every answered write survives the end of its process, no matter how the process ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stockade_change_feed::Retry;
use stockade_search_sync::{
    FieldValue, IndexWriter, Projection, SearchError, SearchIndex, SearchQuery, TotalHits,
};
use stockade_tantivy::TantivyIndex;

use crate::documents::{generation, put, root, titled, view};
use crate::harnesses::options;

/// The directory that the child process writes. Set only for the child process.
const DIRECTORY: &str = "STOCKADE_TANTIVY_CHILD";
const KEYS: usize = 40;

/// Not a test: this is the process that the test below kills. It writes documents in a loop, and
/// prints each answered write.
#[tokio::test]
async fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let index = TantivyIndex::open(directory, options()).await.unwrap();
    let name = generation("products");
    index.create(&name, &Projection::catalog()).await.unwrap();
    index.activate(&name).await.unwrap();
    let loaded = index
        .load(&name, &[root("0")])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let begin = loaded.document.rows.values().next().map_or(0, |row| {
        let title = row.columns.as_ref().unwrap()["title"].as_str().unwrap();
        title.parse::<usize>().unwrap() + 1
    });
    for number in begin.. {
        let documents = (0..KEYS).map(|key| {
            let title = number.to_string();
            // Every third document is hidden.
            let shown = !(key + number).is_multiple_of(3);
            (
                titled(&key.to_string(), &title),
                shown.then(|| view(&title)),
            )
        });
        for documents in documents.collect::<Vec<_>>().chunks(7) {
            put(&index, &name, documents.to_vec()).await;
            for (document, _) in documents {
                println!("durable {} {number}", document.id);
            }
        }
    }
}

fn spawn(directory: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crashes::child", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn answered_writes_survive_kill_9_and_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut durable: BTreeMap<String, usize> = BTreeMap::new();
    for lines in [150, 400, 1_000] {
        let mut child = spawn(directory.path());
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut note = |line: std::io::Result<String>| {
            // The last line may be incomplete.
            let line = line.unwrap_or_default();
            let mut words = line
                .split(' ')
                .skip_while(|word| *word != "durable")
                .skip(1);
            if let (Some(id), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
                durable.insert(id.to_owned(), number);
            }
        };
        printed.by_ref().take(lines).for_each(&mut note);
        let second = TantivyIndex::open(directory.path(), options()).await;
        match second {
            Err(error @ SearchError::Failed(_)) => {
                assert_eq!(error.retry(), Retry::After(Duration::from_secs(1)));
                assert!(error.to_string().contains("is already open"), "{error}");
            }
            other => panic!("a second process may not open it: {other:?}"),
        }
        child.kill().unwrap();
        child.wait().unwrap();
        printed.for_each(note);
        all_is_there(directory.path(), &durable).await;
    }
    assert_eq!(durable.len(), KEYS);
}

async fn all_is_there(directory: &std::path::Path, durable: &BTreeMap<String, usize>) {
    let index = TantivyIndex::open(directory, options()).await.unwrap();
    let name = generation("products");
    let mut shown = BTreeMap::new();
    for key in (0..KEYS).map(|key| key.to_string()) {
        let loaded = index
            .load(&name, &[root(&key)])
            .await
            .unwrap()
            .remove(0)
            .unwrap();
        let Some(row) = loaded.document.rows.values().next() else {
            continue;
        };
        let title = row.columns.as_ref().unwrap()["title"].as_str().unwrap();
        let number: usize = title.parse().unwrap();
        let answered = durable.get(&root(&key).to_string());
        assert!(
            answered.is_none_or(|answered| *answered <= number),
            "{key}: the answered write {answered:?} is lost"
        );
        if !(key.parse::<usize>().unwrap() + number).is_multiple_of(3) {
            shown.insert(key, title.to_owned());
        }
    }
    // Searches find all stored documents, no matter what the tantivy index had committed.
    let query = SearchQuery::default().with_size(100);
    let page = index.search(&query).await.unwrap();
    let found: BTreeMap<_, _> = page
        .hits
        .into_iter()
        .map(|hit| match &hit.view.fields["title"][0] {
            FieldValue::Text(title) => (hit.key, title.clone()),
            FieldValue::Number(_) => panic!("a title is text"),
        })
        .collect();
    assert_eq!(found, shown);
}

#[tokio::test]
async fn a_missing_or_damaged_index_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let name = generation("products");
    let open = || TantivyIndex::open(directory.path(), options());
    let index = open().await.unwrap();
    index.create(&name, &Projection::catalog()).await.unwrap();
    index.activate(&name).await.unwrap();
    let document = |key: &str| (titled(key, key), Some(view(key)));
    put(&index, &name, vec![document("lamp"), document("chair")]).await;
    until_found(&index, 2).await;
    drop(index);
    let files = directory.path().join("generation-1");
    for damage in ["missing", "torn"] {
        let damaged = match damage {
            "missing" => std::fs::remove_dir_all(&files),
            _ => std::fs::write(files.join("meta.json"), "{"),
        };
        damaged.unwrap();
        let index = open().await.unwrap();
        until_found(&index, 2).await;
        let page = index.search(&SearchQuery::text("lamp")).await.unwrap();
        assert_eq!(page.hits[0].key, "lamp");
    }
}

async fn until_found(index: &TantivyIndex, documents: u64) {
    for _ in 0..500 {
        let page = index.search(&SearchQuery::default()).await.unwrap();
        if page.total == TotalHits::Exactly(documents) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{documents} documents are not found");
}
