use std::thread::sleep;

use stockade_change_feed::{ManualClock, Timestamp};
use stockade_search_sync::{Document, DocumentId, DocumentWrite, FieldValue, View};

use super::merging::SEGMENTS_MERGED;
use super::*;

fn open(directory: Option<PathBuf>) -> (Store, GenerationIndex) {
    let options = TantivyOptions::default();
    open_with(directory, options.with_refresh_interval(Duration::ZERO))
}

fn open_with(directory: Option<PathBuf>, options: TantivyOptions) -> (Store, GenerationIndex) {
    let store = Store::in_memory(1 << 20).unwrap();
    let name = Generation::new("products").unwrap();
    let projection = Projection::catalog();
    let stored = StoredGeneration {
        number: store.create(&name, &projection).unwrap(),
        name,
        projection,
    };
    let index = GenerationIndex::open(stored, directory, options, &store).unwrap();
    (store, index)
}

/// Writes a document as a segment of its own.
fn write(store: &Store, index: &GenerationIndex, key: &str) {
    write_all(store, index, &[key]);
}

/// Writes documents as one segment.
fn write_all(store: &Store, index: &GenerationIndex, keys: &[&str]) {
    let writes: Vec<_> = keys.iter().map(|key| of(store, index, key)).collect();
    let outcomes = store.write(&index.name, index.number, &writes).unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
    index.set_changed();
    until(|| {
        index.refresh(store);
        !index.changed.load(Ordering::Acquire)
    });
}

fn of(store: &Store, index: &GenerationIndex, key: &str) -> DocumentWrite {
    let mut view = View::default();
    let title = FieldValue::Text(key.to_owned());
    view.fields.insert("title".to_owned(), vec![title.clone()]);
    view.fields.insert("slug".to_owned(), vec![title]);
    let id = DocumentId::Root(key.to_owned());
    let loaded = store.load(index.number, std::slice::from_ref(&id));
    let loaded = loaded.unwrap().remove(0).unwrap();
    DocumentWrite {
        document: Document::new(id),
        view: Some(view),
        expected: loaded.revision,
    }
}

fn until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("the condition never became true");
}

fn segments(index: &GenerationIndex) -> usize {
    index.snapshot().segments.len()
}

#[test]
fn merged_segments_are_read_without_another_write() {
    let directory = tempfile::tempdir().unwrap();
    for directory in [None, Some(directory.path().join("index"))] {
        let (store, index) = open(directory);
        for number in 0..SEGMENTS_MERGED {
            write(&store, &index, &number.to_string());
        }
        until(|| index.index.searchable_segment_ids().unwrap().len() == 1);
        until(|| {
            index.refresh(&store);
            segments(&index) == 1
        });
        assert_eq!(index.snapshot().searcher.num_docs(), SEGMENTS_MERGED as u64);
    }
}

#[test]
fn an_update_waits_for_the_refresh_interval() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let interval = Duration::from_millis(200);
    let options = TantivyOptions::default().with_refresh_interval(interval);
    let (store, index) = open_with(None, options.with_clock(clock.clone()));
    write(&store, &index, "lamp");
    assert_eq!(index.snapshot().searcher.num_docs(), 1);
    let outcomes = store.write(&index.name, index.number, &[of(&store, &index, "table")]);
    assert!(outcomes.unwrap()[0].is_ok());
    index.set_changed();
    for (wait, expected) in [(Duration::ZERO, 1), (interval / 2, 1), (interval / 2, 2)] {
        clock.advance(wait);
        index.refresh(&store);
        assert_eq!(index.snapshot().searcher.num_docs(), expected);
    }
}

#[test]
fn a_refresh_without_changes_does_not_delay_the_next_one() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let interval = Duration::from_millis(200);
    let options = TantivyOptions::default().with_refresh_interval(interval);
    let (store, index) = open_with(None, options.with_clock(clock.clone()));
    write(&store, &index, "lamp");
    clock.advance(interval * 3 / 2);
    let before = index.update().not_before;
    assert_eq!(before, Some(interval));
    index.refresh(&store);
    assert_eq!(index.update().not_before, before);
}

#[test]
fn a_quiet_index_becomes_one_segment() {
    let (store, index) = open(None);
    for number in 0..SEGMENTS_MERGED - 1 {
        write(&store, &index, &number.to_string());
    }
    until(|| {
        index.refresh(&store);
        segments(&index) == 1
    });
    assert_eq!(
        index.snapshot().searcher.num_docs(),
        SEGMENTS_MERGED as u64 - 1
    );
}

#[test]
fn columns_stay_open_while_documents_of_the_segment_change() {
    let (store, index) = open(None);
    write_all(&store, &index, &["lamp", "table"]);
    let columns = |at: usize| index.snapshot().segments[at].columns("slug").unwrap();
    let opened = columns(0);
    write(&store, &index, "lamp");
    let after = index.snapshot();
    let kept = |at: &usize| Arc::ptr_eq(&opened, &columns(*at));
    let kept = (0..after.segments.len())
        .find(kept)
        .expect("a segment has the same columns");
    let segment = &after.segments[kept];
    assert_eq!(
        segment.alive().len(),
        1,
        "the lamp is deleted in this segment"
    );
    let texts = opened.texts.as_ref().unwrap();
    let lists = segment.lists(&opened);
    assert_eq!(lists.count(texts, &segment.alive()), [0, 1]);
    assert_eq!(lists.count(texts, &[0, 1]), [1, 1]);
}

#[test]
fn a_commit_is_read_once() {
    let (store, index) = open(None);
    write(&store, &index, "lamp");
    assert!(index.is_read());
    let read = index.snapshot();
    sleep(Duration::from_millis(5));
    index.refresh(&store);
    assert!(Arc::ptr_eq(&read, &index.snapshot()));
}

#[test]
fn a_failed_read_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let (store, index) = open(Some(directory.path().join("index")));
    write(&store, &index, "lamp");
    let files = directory.path().join("index");
    let (list, away) = (files.join("meta.json"), files.join("away"));
    std::fs::rename(&list, &away).unwrap();
    index.listed.increase();
    sleep(Duration::from_millis(5));
    index.refresh(&store);
    assert!(!index.is_read(), "the list of segments is missing");
    assert_eq!(segments(&index), 1, "the last snapshot is kept");
    std::fs::rename(&away, &list).unwrap();
    until(|| {
        index.refresh(&store);
        index.is_read()
    });
}
