//! Where Postgres's programs are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres::packaged;
use crate::programs;
use crate::user::User;

/// Where Debian keeps those of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where they are, and who runs them.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    user: User,
}

impl Programs {
    /// Those of a major version, or the newest that is installed.
    pub(crate) fn find(major: Option<u32>) -> anyhow::Result<Self> {
        let debian = Path::new(DEBIAN);
        let folder = match major {
            None => installed(programs::path(), debian)?,
            Some(major) => {
                let folder = debian.join(major.to_string()).join("bin");
                match is_complete(&folder) {
                    true => folder,
                    false => packaged::folder(major)?,
                }
            }
        };
        let user = User::find();
        Ok(Self { folder, user })
    }

    pub(crate) fn user(&self) -> User {
        self.user
    }

    /// A program of Postgres.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.user.command(&self.folder.join(program));
        // Where they come with libraries of their own.
        command.env("LD_LIBRARY_PATH", self.folder.join("../lib"));
        command
    }
}

/// In one of these folders, or the newest where Debian keeps those of each version.
fn installed(mut folders: Vec<PathBuf>, debian: &Path) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir(debian).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    // The newest first.
    versions.sort_unstable_by(|a, b| b.cmp(a));
    folders.extend(versions.into_iter().map(|(_, folder)| folder));
    let found = folders.into_iter().find(|folder| is_complete(folder));
    found.ok_or_else(|| programs::missing("Postgres", "postgresql"))
}

fn is_complete(folder: &Path) -> bool {
    let mut programs = ["initdb", "postgres"].iter();
    programs.all(|program| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_a_line_with_the_command_that_mends_it() {
        let nowhere = Path::new("/nowhere");
        let error = installed(vec![nowhere.to_owned()], nowhere).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("apt-get install"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
