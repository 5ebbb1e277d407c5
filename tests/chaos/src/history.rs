//! What was asked and answered, in a file that outlives who wrote it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::calls::{Answer, Call};

/// Appends to a history. Several processes may write the same one, and each line is written at
/// once, so that one which is killed leaves whole lines.
#[derive(Debug)]
pub struct History {
    file: File,
    next: AtomicU64,
    answers: AtomicU64,
}

/// A call, and its answer if there was one.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was asked.
    pub call: Call,
    /// What was answered; unknown where who asked was killed.
    pub answer: Answer,
}

#[derive(Serialize, Deserialize)]
enum Event {
    Asked { number: u64, call: Call },
    Answered { number: u64, answer: Answer },
}

impl History {
    /// Appends to this file.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn append(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("{} can't be written", path.display()))?;
        // Numbers are of this process and no other's.
        let first = u64::from(std::process::id()) << 32;
        Ok(Self {
            file,
            next: AtomicU64::new(first),
            answers: AtomicU64::new(0),
        })
    }

    /// How many calls were answered through this handle.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Notes a call that is about to be made.
    pub(crate) fn asked(&self, call: Call) -> anyhow::Result<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.write(&Event::Asked { number, call })?;
        Ok(number)
    }

    /// Notes its answer.
    pub(crate) fn answered(&self, number: u64, answer: Answer) -> anyhow::Result<()> {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.write(&Event::Answered { number, answer })
    }

    fn write(&self, event: &Event) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        Ok((&self.file).write_all(&line)?)
    }

    /// Reads a history, in the order of the calls.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
        let text = fs::read_to_string(path)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut places = HashMap::new();
        for line in text.lines() {
            match serde_json::from_str(line).with_context(|| format!("in a history: {line}"))? {
                Event::Asked { number, call } => {
                    places.insert(number, entries.len());
                    let answer = Answer::Unknown("there was none".to_owned());
                    entries.push(Entry { call, answer });
                }
                Event::Answered { number, answer } => {
                    let place = places.get(&number).context("an answer to no call")?;
                    entries[*place].answer = answer;
                }
            }
        }
        Ok(entries)
    }
}

/// The last answer to each call, however often it was made.
pub(crate) fn last_answers(history: &[Entry]) -> HashMap<&Call, &Answer> {
    let answers = history.iter().map(|entry| (&entry.call, &entry.answer));
    answers.collect()
}
