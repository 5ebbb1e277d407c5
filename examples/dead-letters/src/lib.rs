//! Lists, replays and discards dead letters over any log of the crates.

mod line;
mod log;
mod options;

use std::io::Write as _;

use stockade_change_feed::{DeadLetterQueue, Decision, Waiting};

pub use crate::options::{Action, Chosen, Options};

/// Does what the options say. Letters go to stdout, one a line; what was done goes to stderr.
///
/// # Errors
/// When the log can not be reached, or stdout is closed.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .init();
    options.check()?;
    let (queue, chosen) = (log::queue(&options).await?, &options.chosen);
    match options.action {
        Action::List => list(&queue, chosen).await,
        Action::Replay => settle(&queue, chosen, Decision::Replay).await,
        Action::Discard => settle(&queue, chosen, Decision::Discard).await,
    }
}

async fn list(queue: &DeadLetterQueue, chosen: &Chosen) -> anyhow::Result<()> {
    let (mut listed, mut failed) = (0_u64, None);
    let print = |waiting: &Waiting| {
        if failed.is_none() && is_chosen(waiting, chosen) {
            listed += 1;
            failed = writeln!(std::io::stdout(), "{}", line::of(waiting)).err();
        }
    };
    let unread = queue.list(print).await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    eprintln!("{listed} listed{}", and_unread(unread));
    Ok(())
}

async fn settle(
    queue: &DeadLetterQueue,
    chosen: &Chosen,
    decision: Decision,
) -> anyhow::Result<()> {
    let decide = |waiting: &Waiting| match is_chosen(waiting, chosen) {
        true => decision,
        false => Decision::Keep,
    };
    let settled = queue.settle(decide).await?;
    eprintln!(
        "{} replayed, {} discarded, {} waiting{}",
        settled.replayed,
        settled.discarded,
        settled.kept,
        and_unread(settled.unread)
    );
    Ok(())
}

fn is_chosen(waiting: &Waiting, chosen: &Chosen) -> bool {
    match &waiting.letter {
        Ok(letter) => chosen.contains(letter),
        Err(_) => chosen.is_all(),
    }
}

fn and_unread(unread: u64) -> String {
    match unread {
        0 => String::new(),
        _ => format!(
            ", {unread} not read: another process may read the topic, or the log counts entries \
             that are no records"
        ),
    }
}
