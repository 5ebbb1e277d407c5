//! Options from the command line, the environment and a TOML file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, Parser};
use toml::{Table, Value};

/// Reads options. The value of the option `--search-dir` of the service `storefront` comes from the
/// first of these that has one:
///
/// 1. the command line: `--search-dir`
/// 2. the environment: `STOREFRONT_SEARCH_DIR`
/// 3. the TOML file that [`--config`](crate::Settings::config) names: `search-dir`
/// 4. its default
///
/// A list in the file gives an option several times. The help and errors contain no value of the
/// environment, and errors contain no line of the file, because both may contain secrets. To keep a
/// secret out of errors about its value, give its option a type that accepts any text, such as
/// `SecretString`.
///
/// # Errors
/// A [`clap::Error`] for options that are not allowed, and for requested help. Another error names
/// the file and the option in it that can not be read.
pub fn parse<A: Parser>(
    name: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<A> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let mut command = with_environment(A::command(), name);
    if let Some(path) = config_file(&command, &arguments) {
        command = with_file(command, &path)?;
    }
    let mut matches = command.clone().try_get_matches_from(arguments)?;
    A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command).into())
}

/// Gives each option the environment variable of its name, unless it has another one.
fn with_environment(command: Command, service: &str) -> Command {
    command.mut_args(|arg| match (arg.get_long(), arg.get_env()) {
        (Some(long), None) => {
            let variable = format!("{service}_{long}").replace('-', "_");
            arg.env(variable.to_uppercase()).hide_env_values(true)
        }
        _ => arg.hide_env_values(true),
    })
}

fn config_file(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    // What else is wrong is reported once the file is read.
    let command = command.clone().ignore_errors(true);
    let matches = command.try_get_matches_from(arguments).ok()?;
    let path = matches.try_get_one::<PathBuf>("config").ok()?;
    path.cloned()
}

/// Makes the values of a file the defaults of the options.
fn with_file(command: Command, path: &Path) -> anyhow::Result<Command> {
    let file = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the options in {file}; see --config"))?;
    let table: Table = text
        .parse()
        .map_err(|error| malformed(&text, &error))
        .with_context(|| file.to_string())?;
    table.iter().try_fold(command, |command, (key, value)| {
        with_default(command, key, value).with_context(|| format!("{file}: {key}"))
    })
}

fn with_default(command: Command, key: &str, value: &Value) -> anyhow::Result<Command> {
    let long = key.replace('_', "-");
    let option = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(&long) && arg.get_id() != "config");
    let Some(option) = option else {
        bail!("there is no such option; see --help");
    };
    let values = values(option, value)?;
    let takes_values = option.get_action().takes_values();
    if takes_values {
        check(&command, &long, &values)?;
    }
    let id = option.get_id().clone();
    Ok(command.mut_arg(id, |arg| {
        let arg = arg.required(false).default_values(values);
        if takes_values {
            arg.hide_default_value(true)
        } else {
            arg
        }
    }))
}

/// The error and its place, without the text of the file.
fn malformed(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text.as_bytes()[..start]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count();
    anyhow!("line {line}: {}", error.message())
}

/// The values of an option in the file, in the form of the command line.
fn values(arg: &Arg, value: &Value) -> anyhow::Result<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(is) => Ok(is.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            bail!("it must be a text, a number, true or false")
        }
    };
    match (arg.get_action(), value) {
        (ArgAction::SetTrue | ArgAction::SetFalse, Value::Boolean(_)) => Ok(vec![one(value)?]),
        (ArgAction::SetTrue | ArgAction::SetFalse, _) => bail!("it must be true or false"),
        (ArgAction::Append, Value::Array(values)) => values.iter().map(one).collect(),
        (_, value) => Ok(vec![one(value)?]),
    }
}

/// Refuses values that the command line would refuse.
fn check(command: &Command, long: &str, values: &[String]) -> anyhow::Result<()> {
    for value in values {
        let arguments = [command.get_name().to_owned(), format!("--{long}={value}")];
        let Err(error) = command.clone().try_get_matches_from(arguments) else {
            continue;
        };
        // Other errors are about options that are missing here.
        if matches!(
            error.kind(),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation
        ) {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            bail!("{}", line.trim_start_matches("error: "));
        }
    }
    Ok(())
}
