//! Documents as programs speak them: JSON with the keys of the file.

use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::{Declared, Key, Kind};

/// Deepest nesting that is taken; resources need four.
const DEEPEST: usize = 16;

/// Why a JSON value is no resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where, such as `vif[1].label`; empty for the whole body.
    pub field: String,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

impl Refused {
    fn new(field: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { field: field.to_owned(), detail: detail.into(), remedy: remedy.into() }
    }
}

/// The resource `key` of a request's body. What names it may be left out of the body.
///
/// # Errors
/// Every value that TOML does not have, and names that are not those of `key`.
pub fn resource(key: &Key, body: Json) -> Result<Table, Vec<Refused>> {
    let mut refused = Vec::new();
    let table = table("", body, &mut refused);
    let Some(mut table) = table.filter(|_| refused.is_empty()) else { return Err(refused) };
    let mut expected = Table::new();
    key.complete(&mut expected);
    for (name, value) in &expected {
        let given = table.get(name);
        let same = given.is_none_or(|given| given == value)
            || (name == "prefix" && Key::of(key.kind, &with_names(&table, &expected)).as_ref() == Ok(key));
        if !same {
            refused.push(Refused::new(
                name,
                format!("{name} is not that of the URL"),
                format!("write {value}, or leave it out"),
            ));
        }
    }
    table.extend(expected);
    if refused.is_empty() { Ok(table) } else { Err(refused) }
}

/// A table with the names of `expected` where it has none.
fn with_names(table: &Table, expected: &Table) -> Table {
    let mut named = expected.clone();
    named.extend(table.clone());
    named
}

/// The document of a request's body: `{"vrf": [...], "vif": [...], ...}`.
///
/// # Errors
/// Everything that is no resource with a name of its own.
pub fn document(body: Json) -> Result<Declared, Vec<Refused>> {
    const SECTIONS: &str = "use vrf, policy, vif, service, route, broadcast, each a list of objects";
    let Json::Object(mut sections) = body else {
        return Err(vec![Refused::new("", "the body is no object", SECTIONS)]);
    };
    let (mut declared, mut refused) = (Declared::default(), Vec::new());
    for kind in Kind::ALL {
        let section = kind.section();
        match sections.remove(section) {
            None => {}
            Some(Json::Array(list)) => {
                for (index, value) in list.into_iter().enumerate() {
                    add(&mut declared, kind, &format!("{section}[{index}]"), value, &mut refused);
                }
            }
            Some(_) => refused.push(Refused::new(section, "this is no list", "write [{ ... }, ...]")),
        }
    }
    refused.extend(sections.keys().map(|key| Refused::new(key, "unknown key", SECTIONS)));
    if refused.is_empty() { Ok(declared) } else { Err(refused) }
}

fn add(declared: &mut Declared, kind: Kind, field: &str, value: Json, refused: &mut Vec<Refused>) {
    let Some(mut table) = table(field, value, refused) else { return };
    match Key::of(kind, &table) {
        Ok(key) if declared.get(&key).is_some() => {
            refused.push(Refused::new(field, format!("{key} is there already"), "list each resource once"));
        }
        Ok(key) => {
            if kind == Kind::Route {
                // The prefix in its one form, by which the resource is found.
                table.remove("prefix");
                key.complete(&mut table);
            }
            declared.insert(key, table);
        }
        Err(missing) => {
            let remedy = "name the resource: `name`; `vrf` and `prefix` of a route; `vrf` of a broadcast";
            let detail = format!("the key `{missing}` is missing or no {missing}");
            refused.push(Refused::new(&format!("{field}.{missing}"), detail, remedy));
        }
    }
}

fn table(field: &str, value: Json, refused: &mut Vec<Refused>) -> Option<Table> {
    let Json::Object(map) = value else {
        refused.push(Refused::new(field, "this is no object", "write { \"key\": value, ... }"));
        return None;
    };
    let before = refused.len();
    let table = object(field, map, refused, 0);
    (refused.len() == before).then_some(table)
}

fn object(field: &str, map: Map<String, Json>, refused: &mut Vec<Refused>, depth: usize) -> Table {
    let mut table = Table::new();
    for (key, value) in map {
        let field = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
        table.extend(to_toml(&field, value, refused, depth + 1).map(|value| (key, value)));
    }
    table
}

fn to_toml(field: &str, value: Json, refused: &mut Vec<Refused>, depth: usize) -> Option<Value> {
    let mut refuse = |detail: &str, remedy: &str| {
        refused.push(Refused::new(field, detail, remedy));
        None
    };
    if depth > DEEPEST {
        return refuse("this is nested too deeply", "write it as docs/api.md shows");
    }
    match value {
        Json::Null => refuse("null says nothing", "leave the key out"),
        Json::Bool(value) => Some(Value::Boolean(value)),
        Json::String(text) => Some(Value::String(text)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Some(Value::Integer(integer)),
            (None, Some(float)) if !number.is_u64() => Some(Value::Float(float)),
            (None, _) => refuse("the number is too large", "write a smaller one"),
        },
        Json::Array(list) => {
            let items = list.into_iter().enumerate();
            Some(Value::Array(
                items.filter_map(|(i, v)| to_toml(&format!("{field}[{i}]"), v, refused, depth + 1)).collect(),
            ))
        }
        Json::Object(map) => Some(Value::Table(object(field, map, refused, depth))),
    }
}

/// A resource for an answer.
pub fn resource_json(table: &Table) -> Json {
    // Dates are what JSON lacks; the grammar has none.
    serde_json::to_value(table).unwrap_or(Json::Null)
}

/// A whole document for an answer, with every section.
pub fn whole_json(declared: &Declared) -> Json {
    let section = |kind: Kind| {
        let list = declared.of(kind).map(|(_, table)| resource_json(table)).collect();
        (kind.section().to_owned(), Json::Array(list))
    };
    Json::Object(Kind::ALL.into_iter().map(section).collect())
}
