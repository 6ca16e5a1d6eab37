//! The JSON schema of scenario files: the library fits it as JSON, mistakes don't, and the documentation has every key.

use std::path::Path;

use serde_json::{Value as Json, json};
use splitbrain::scenario::raw;

use super::scenario_files::{library, load};

/// Checks a value against the part of JSON Schema that our schema uses. The error is the path of what doesn't fit.
fn fits(value: &Json, schema: &Json, root: &Json, path: &str) -> Result<(), String> {
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        let name = reference.strip_prefix("#/$defs/").expect("references point into $defs");
        fits(value, &root["$defs"][name], root, path)?;
    }
    if let Some(choices) = schema.get("anyOf").and_then(Json::as_array) {
        let tried: Vec<_> = choices.iter().map(|choice| fits(value, choice, root, path)).collect();
        if tried.iter().all(Result::is_err) {
            return Err(format!("{path}: none of {tried:?}"));
        }
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("{path}: the schema has the type {other}"),
    };
    if !types.is_empty() && !types.iter().any(|name| is(name)) {
        return Err(format!("{path}: {value} is not of type {types:?}"));
    }
    if let (Some(number), Some(least)) = (value.as_f64(), schema.get("minimum").and_then(Json::as_f64))
        && number < least
    {
        return Err(format!("{path}: {number} is below {least}"));
    }
    if let (Some(number), Some(most)) = (value.as_f64(), schema.get("maximum").and_then(Json::as_f64))
        && number > most
    {
        return Err(format!("{path}: {number} is above {most}"));
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array)
        && !words.contains(value)
    {
        return Err(format!("{path}: {value} is none of {words:?}"));
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            fits(item, schema, root, &format!("{path}[{index}]"))?;
        }
    }
    value.as_object().map_or(Ok(()), |fields| fields_fit(fields, schema, root, path))
}

fn fields_fit(fields: &serde_json::Map<String, Json>, schema: &Json, root: &Json, path: &str) -> Result<(), String> {
    for name in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
        if !fields.contains_key(name.as_str().expect("names are text")) {
            return Err(format!("{path}: {name} is missing"));
        }
    }
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        match (schema.get("properties").and_then(|known| known.get(name)), schema.get("additionalProperties")) {
            (Some(known), _) => fits(field, known, root, &path)?,
            (None, Some(Json::Bool(false))) => return Err(format!("{path}: unknown")),
            (None, Some(any)) => fits(field, any, root, &path)?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// A scenario file as JSON.
fn as_json(toml: &str) -> Json {
    let table: toml::Table = toml.parse().expect("valid TOML");
    serde_json::to_value(table).expect("no dates")
}

#[test]
fn the_library_fits_and_means_the_same_as_json() {
    let schema = raw::schema();
    for path in library() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let json = as_json(&text);
        fits(&json, &schema, &schema, "").unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
        let from_toml = load(&path, &text, &[]).expect("a scenario of the library");
        let from_json = load(&path.with_extension("json"), &format!("{json:#}"), &[])
            .unwrap_or_else(|report| panic!("{} as JSON\n{report}", path.display()));
        assert_eq!(format!("{:#?}", from_toml.scenario), format!("{:#?}", from_json.scenario), "{}", path.display());
        // With every default spelt out.
        let effective = as_json(&from_toml.print());
        fits(&effective, &schema, &schema, "").unwrap_or_else(|wrong| panic!("{} printed: {wrong}", path.display()));
    }
}

#[test]
fn mistakes_do_not_fit() {
    let schema = raw::schema();
    let good = json!({ "duration": "10s", "redis": [{ "name": "r1" }], "fault": [{ "at": "1s", "crash": ["r1"] }] });
    assert_eq!(fits(&good, &schema, &schema, ""), Ok(()));
    for (pointer, bad) in [
        ("/duration", json!(10)),
        ("/redis/0/name", json!(["r1"])),
        ("/redis/0", json!({ "nam": "r1" })),
        ("/fault/0", json!({ "at": "1s", "crsh": "r1" })),
        ("/fault/0/crash", json!(1)),
        ("/redis", json!({ "name": "r1" })),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).expect("there") = bad;
        assert!(fits(&wrong, &schema, &schema, "").is_err(), "{pointer}");
        assert!(load(Path::new("x.json"), &wrong.to_string(), &[]).is_err(), "{pointer}");
    }
}

/// Every key of the format, with the table that has it.
fn keys() -> Vec<(String, String)> {
    let schema = raw::schema();
    let mut keys = Vec::new();
    let mut collect = |table: &str, schema: &Json| {
        for (key, _) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            keys.push((table.to_owned(), key.clone()));
        }
    };
    collect("File", &schema);
    for (table, definition) in schema["$defs"].as_object().expect("there are definitions") {
        collect(table, definition);
    }
    keys
}

#[test]
fn every_key_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario.md");
    let text = std::fs::read_to_string(path).expect("docs/scenario.md is there");
    let keys = keys();
    assert!(keys.len() > 100, "only {} keys", keys.len());
    let missing: Vec<_> = keys.iter().filter(|(_, key)| !text.contains(&format!("| `{key}` |"))).collect();
    assert!(missing.is_empty(), "docs/scenario.md lacks {missing:?}");
}

#[test]
fn every_key_has_a_description() {
    let schema = raw::schema();
    let tables = schema["$defs"].as_object().expect("there are definitions").values().chain([&schema]);
    for table in tables {
        for (key, property) in table.get("properties").and_then(Json::as_object).into_iter().flatten() {
            assert!(property.get("description").is_some(), "{key} of {} has no description", table["description"]);
        }
    }
}

/// The examples of the documentation are scenarios, or parts of one.
#[test]
fn documented_examples_load() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario.md");
    let text = std::fs::read_to_string(path).expect("docs/scenario.md is there");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 10, "only {} examples", blocks.len());
    let schema = raw::schema();
    for block in blocks {
        let mut json = as_json(block);
        let whole = json.get("duration").is_some();
        json.as_object_mut().expect("a table").entry("duration").or_insert(json!("60s"));
        fits(&json, &schema, &schema, "").unwrap_or_else(|wrong| panic!("{wrong} in\n{block}"));
        if whole {
            load(Path::new("example.toml"), block, &[]).unwrap_or_else(|report| panic!("{report}"));
        }
    }
}
