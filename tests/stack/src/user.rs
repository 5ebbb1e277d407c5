//! Who runs servers that refuse to be root's.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::programs;

/// `nobody` and its group, whatever they are called.
const NOBODY: &str = "65534";

/// This user; or nobody, where this user is root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    nobody: bool,
}

impl User {
    pub(crate) fn find() -> Self {
        Self {
            nobody: rustix::process::geteuid().is_root(),
        }
    }

    /// A program that is run by that user.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = match self.nobody {
            false => Command::new(program),
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", NOBODY, "--regid", NOBODY]);
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        };
        // The folder that this process stands in may be closed to that user.
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Gives that user a folder with all that is in it.
    pub(crate) fn own(self, folder: &Path) -> anyhow::Result<()> {
        if !self.nobody {
            return Ok(());
        }
        let mut chown = Command::new("chown");
        chown.args(["-R", &format!("{NOBODY}:{NOBODY}")]);
        programs::run(chown.arg(folder))?;
        let mut test = self.command(Path::new("test"));
        programs::run(test.arg("-w").arg(folder)).with_context(|| {
            let folder = folder.display();
            format!("nobody can't reach {folder}: set TMPDIR to a folder that all may enter")
        })?;
        Ok(())
    }
}
