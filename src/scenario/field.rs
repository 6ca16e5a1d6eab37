//! Reading and writing fields: the trait behind [`super::raw`], and the macro that makes a table of them.

use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::source::{Place, Problems};
use super::tree::{Data, Key, Tree};

/// A part of the raw form: read from a tree with every complaint it deserves, and written back.
pub(super) trait Field: Sized {
    /// Reads it. `None` when nothing of it is usable; a problem has been reported then.
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self>;

    /// What a file would say. `None`: nothing, the field is absent.
    fn write(&self) -> Option<Data>;
}

/// A single value of a file: how it is read, what was expected when it can't be.
pub(super) trait Scalar: Sized {
    /// What a message says was expected: `a time such as "500ms"`.
    const EXPECTED: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// `None` when it is of the wrong type, or a sentence that says what is wrong with the value.
    fn read(data: &Data) -> Result<Self, Option<String>>;

    /// What a file would say.
    fn write(&self) -> Data;
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub value: T,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Two are equal when their values are, wherever they stand.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: Scalar> Field for At<T> {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        match T::read(&tree.data) {
            Ok(value) => Some(At { place: tree.place, value }),
            Err(Some(message)) => {
                problems.error(tree.place, message).label(format!("expected {}", T::EXPECTED));
                None
            }
            Err(None) => {
                let found = tree.data.describe();
                problems
                    .error(tree.place, format!("expected {}, found {found}", T::EXPECTED))
                    .label("of the wrong type");
                None
            }
        }
    }

    fn write(&self) -> Option<Data> {
        Some(self.value.write())
    }
}

impl<T: Field> Field for Option<T> {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        if tree.data == Data::Null { Some(None) } else { Some(T::read(tree, problems)) }
    }

    fn write(&self) -> Option<Data> {
        self.as_ref().and_then(T::write)
    }
}

/// A list; items that can't be read are left out (and reported).
impl<T: Field> Field for Vec<T> {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        match &tree.data {
            Data::Null => Some(Vec::new()),
            Data::List(items) => Some(items.iter().filter_map(|item| T::read(item, problems)).collect()),
            other @ (Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::Table(_)) => {
                problems.error(tree.place, format!("expected a list, found {}", other.describe()));
                None
            }
        }
    }

    fn write(&self) -> Option<Data> {
        let items: Vec<Tree> = self.iter().filter_map(T::write).map(|data| data.at(Place::default())).collect();
        (!items.is_empty()).then_some(Data::List(items))
    }
}

/// A table whose keys the author chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

impl<T: Field> Field for Map<T> {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let Data::Table(entries) = &tree.data else {
            if tree.data == Data::Null {
                return Some(Map::default());
            }
            problems.error(tree.place, format!("expected a table, found {}", tree.data.describe()));
            return None;
        };
        let mut out = Vec::new();
        for (key, value) in entries {
            if let Some(value) = T::read(value, problems) {
                out.push((At { place: key.place, value: key.name.clone() }, value));
            }
        }
        Some(Map(out))
    }

    fn write(&self) -> Option<Data> {
        write_entries(&self.0)
    }
}

/// Chosen keys and their values as a table; nothing when there are none.
pub(super) fn write_entries<T: Field>(entries: &[(At<String>, T)]) -> Option<Data> {
    let written = entries.iter().filter_map(|(key, value)| Some((key.value.as_str(), value.write()?)));
    let written: Vec<_> = written.collect();
    (!written.is_empty()).then(|| table(written))
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("TableOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}

/// A table without places, for writing.
pub(super) fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Data)>) -> Data {
    let place = Place::default();
    let entry = |(name, data): (&str, Data)| (Key { place, name: name.to_owned() }, data.at(place));
    Data::Table(entries.into_iter().map(entry).collect())
}

/// What people write, and what the field is called.
const SYNONYMS: [(&str, &str); 14] = [
    ("server", "redis"),
    ("servers", "redis"),
    ("node", "redis"),
    ("nodes", "redis"),
    ("app", "client"),
    ("slaveof", "replicaof"),
    ("replica-of", "replicaof"),
    ("time", "at"),
    ("lasts", "for"),
    ("kill", "crash"),
    ("stop", "shutdown"),
    ("freeze", "pause"),
    ("poweroff", "power-off"),
    ("assert", "expect"),
];

/// Reports the fields of a table that aren't in `known`, with the nearest name.
pub(super) fn unknown_fields(tree: &Tree, what: &str, known: &[&str], problems: &mut Problems) {
    let Data::Table(entries) = &tree.data else { return };
    for (key, _) in entries {
        if !known.contains(&key.name.as_str()) {
            let problem = problems.error(key.place, format!("unknown field `{}` in {what}", key.name));
            problem.label("not a field of this table");
            match SYNONYMS.iter().find(|(other, ours)| *other == key.name && known.contains(ours)) {
                Some((_, ours)) => problem.help(format!("it is called `{ours}` here")),
                None => problem.suggest(&key.name, "fields", known.iter().copied()),
            };
        }
    }
}

/// Defines a table of the file: a struct whose fields are all optional (so that one mistake doesn't hide the next), its JSON
/// schema, its reader and its writer. `requires` lists the fields that a file must have.
macro_rules! tables {
    ($(
        $(#[doc = $doc:literal])+
        pub struct $name:ident in $what:literal requires [$($required:literal),*] {
            $( $(#[doc = $field_doc:literal])+ $key:literal $field:ident: $type:ty, )+
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields, extend("required" = [$($required),*]))]
        pub struct $name {
            /// Where the table stands, and whether all of it could be read.
            #[schemars(skip)]
            pub origin: Origin,
            $(
                $(#[doc = $field_doc])+
                #[schemars(rename = $key)]
                pub $field: $type,
            )+
        }

        impl Field for $name {
            fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
                let Data::Table(entries) = &tree.data else {
                    problems.error(tree.place, format!("expected a table with the fields of {}, found {}", $what, tree.data.describe()));
                    return None;
                };
                const KNOWN: &[&str] = &[$($key),+];
                const REQUIRED: &[&str] = &[$($required),*];
                let before = problems.count();
                $crate::scenario::field::unknown_fields(tree, $what, KNOWN, problems);
                for required in REQUIRED {
                    if !entries.iter().any(|(key, value)| key.name == *required && value.data != Data::Null) {
                        problems.error(tree.place, format!("{} lacks the field `{required}`", $what));
                    }
                }
                let mut out = $name::default();
                $(
                    if let Some(value) = tree.get($key).and_then(|value| Field::read(value, problems)) {
                        out.$field = value;
                    }
                )+
                out.origin = Origin { place: tree.place, damaged: problems.count() > before };
                Some(out)
            }

            fn write(&self) -> Option<Data> {
                let mut entries = Vec::new();
                $(
                    if let Some(data) = self.$field.write() {
                        entries.push(($key, data));
                    }
                )+
                Some($crate::scenario::field::table(entries))
            }
        }
    )+};
}

pub(super) use tables;

/// Where a table comes from. Equal to every other origin, so that tables compare by what they say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// Where it stands.
    pub place: Place,
    /// Something in it could not be read: what it seems to lack may be there.
    pub damaged: bool,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
