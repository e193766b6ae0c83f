//! The configuration as an operator meets it: a commented file to begin with, and what is in force with its origins.

use std::fmt;
use std::path::Path;

use figment::Figment;
use figment::value::{Dict, Value};
use serde::Serialize;

use super::{Config, ConfigError, SYSTEM, explain};

/// The file that `init` writes: every setting with its reason, its default commented out.
pub const TEMPLATE: &str = include_str!("template.toml");

/// One setting that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, as in `links.handshakes`.
    pub key: String,
    /// Its value, as TOML has it.
    pub value: String,
    /// Where that comes from.
    pub origin: String,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, origin } = self;
        write!(f, "{:<52} # {origin}", format!("{key} = {value}"))
    }
}

/// All settings that are in force, in the order of their names. `flags`: what the command line says.
///
/// # Errors
/// As [`Config::load`].
pub fn settings(file: Option<&Path>, flags: &impl Serialize) -> Result<Vec<Setting>, ConfigError> {
    let figment = Config::sources(Path::new(SYSTEM), file, flags)?;
    let config = Config::extract(&figment)?;
    let values = Value::serialize(&config).map_err(|error| explain(&error))?;
    let mut found = Vec::new();
    if let Some(dict) = values.as_dict() {
        leaves("", dict, &figment, &mut found);
    }
    Ok(found)
}

/// What of a configuration may change while the relay runs: everything that begins with one of these.
const LIVE: [&str; 8] =
    ["register", "work.", "rates.", "files.", "links.links", "links.handshakes", "log.level", "drain_ms"];

/// What differs in a newer configuration: what a running relay can take over, and what takes a restart.
pub fn changes(before: &Config, after: &Config) -> (Vec<String>, Vec<String>) {
    let values = |config: &Config| {
        let values = Value::serialize(config).unwrap_or_else(|_| Value::from(Dict::new()));
        let mut found = Vec::new();
        leaves("", values.as_dict().unwrap_or(&Dict::new()), &Figment::new(), &mut found);
        found
    };
    let (before, after) = (values(before), values(after));
    let changed = after.into_iter().zip(before).filter(|(after, before)| after != before).map(|(after, _)| after.key);
    changed.partition(|key| LIVE.iter().any(|live| key.starts_with(live)))
}

fn leaves(above: &str, dict: &Dict, figment: &Figment, found: &mut Vec<Setting>) {
    for (name, value) in dict {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Dict(_, inner) => leaves(&key, inner, figment, found),
            _ => found.push(Setting { value: written(value), origin: origin(figment, &key), key }),
        }
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, c) => format!("{:?}", c.to_string()),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Array(_, values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Num(_, number) => match (number.to_i128(), number.to_u128()) {
            (Some(number), _) => number.to_string(),
            (_, Some(number)) => number.to_string(),
            _ => String::new(),
        },
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

fn origin(figment: &Figment, key: &str) -> String {
    let Some(metadata) = figment.find_metadata(key) else { return "default".to_owned() };
    match &metadata.source {
        Some(figment::Source::File(path)) => path.display().to_string(),
        // Where the values stand in the code tells an operator nothing.
        _ if metadata.name.contains("environment") => {
            format!("{}{}", super::ENVIRONMENT, key.replace('.', "__").to_uppercase())
        }
        _ => metadata.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Serialize)]
    struct Flags {
        #[serde(skip_serializing_if = "Option::is_none")]
        listen: Option<&'static str>,
    }

    /// The commented file says the defaults, of every setting, and changes nothing as it is.
    #[test]
    fn the_template_says_the_defaults() {
        let figment = |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let figment = Config::sources(Path::new("/nowhere"), Some(file.path()), &Flags { listen: None }).unwrap();
            (Config::extract(&figment).unwrap(), figment)
        };
        assert_eq!(figment(TEMPLATE).0, Config::default());
        let said: Vec<String> = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix('#').filter(|_| !line.starts_with("# ")).unwrap_or(line).to_owned())
            .collect();
        let (config, figment) = figment(&said.join("\n"));
        assert_eq!(config, Config::default());
        let values = Value::serialize(&config).unwrap();
        let mut found = Vec::new();
        leaves("", values.as_dict().unwrap(), &figment, &mut found);
        let silent: Vec<&Setting> = found.iter().filter(|setting| setting.origin == "default").collect();
        assert!(silent.is_empty() && found.len() > 20, "the template does not say {silent:?}");
    }

    /// A running relay takes over what it can, and says which settings take a restart.
    #[test]
    fn changes_are_told_apart() {
        let before = Config::default();
        let mut after = Config { register: crate::config::Register::Closed, dumpable: true, ..before.clone() };
        (after.rates.posts.burst, after.listen) = (1, "127.0.0.1:1".parse().unwrap());
        let (taken, restart) = changes(&before, &after);
        assert_eq!(taken, ["rates.posts.burst", "register"]);
        assert_eq!(restart, ["dumpable", "listen"]);
        assert_eq!(changes(&after, &after), (Vec::new(), Vec::new()));
    }

    /// Each value is shown with where it comes from.
    #[test]
    fn each_value_has_its_origin() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"register = 'closed'\n[links]\nhandshakes = 7\n").unwrap();
        let all = settings(Some(file.path()), &Flags { listen: Some("127.0.0.1:9") }).unwrap();
        let path = file.path().display().to_string();
        for (key, value, origin) in [
            ("listen", "\"127.0.0.1:9\"", "command line"),
            ("register", "\"closed\"", &path),
            ("links.handshakes", "7", &path),
            ("links.links", "10000", "default"),
            ("host", "[]", "default"),
            ("rates.posts.burst", "300", "default"),
            ("dumpable", "false", "default"),
        ] {
            let setting = all.iter().find(|setting| setting.key == key).unwrap();
            assert_eq!((setting.value.as_str(), setting.origin.as_str()), (value, origin), "{key}");
        }
        let shown = all.iter().find(|setting| setting.key == "links.handshakes").unwrap().to_string();
        assert!(shown.starts_with("links.handshakes = 7 ") && shown.ends_with(&format!(" # {path}")), "{shown}");
    }
}
