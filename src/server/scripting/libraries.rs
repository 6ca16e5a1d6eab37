//! Libraries of functions: what a server keeps of them, and how one is made of its code (`functions.c`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{Code, Function, Journal, Loaded, is_name, lua, sha1};
use crate::resp::{lossless, split_args};

/// A library.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    /// Its name.
    pub name: Bytes,
    /// Its code, the shebang included.
    pub code: Bytes,
    /// The SHA1 of that.
    pub sha: [u8; 20],
    /// What it registers.
    pub functions: Vec<Function>,
}

impl Library {
    /// What it takes in memory, about as a real server counts it.
    fn memory(&self) -> u64 {
        let functions: usize = self.functions.iter().map(|function| function.name.len() + 120).sum();
        (self.name.len() + self.code.len() + 100 + functions) as u64
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Libraries {
    by_name: Arc<BTreeMap<Bytes, Arc<Library>>>,
    /// Functions by their name in lower case.
    functions: Arc<BTreeMap<Vec<u8>, Place>>,
    /// What the variables are, of libraries that keep something in them.
    states: BTreeMap<Bytes, Journal>,
}

/// A function's library, and which of its functions it is.
type Place = (Arc<Library>, usize);

/// An error as a whole reply.
fn error<T>(text: impl AsRef<str>) -> Result<T, String> {
    Err(format!("ERR {}", text.as_ref()))
}

fn shown(text: &[u8]) -> String {
    lossless(text)
}

/// The engine and the name in the first line of a library's code (`functionExtractLibMetaData`).
fn metadata(code: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    if !code.starts_with(b"#!") {
        return error("Missing library metadata");
    }
    let Some(end) = memchr::memchr(b'\n', code) else { return error("Invalid library metadata") };
    let Some(parts) = split_args(&code[..end]).filter(|parts| !parts.is_empty()) else {
        return error("Invalid library metadata");
    };
    let mut name: Option<&[u8]> = None;
    for part in &parts[1..] {
        match part.split_at_checked(5) {
            Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => {
                if name.replace(value).is_some() {
                    return error("Invalid metadata value, name argument was given multiple times");
                }
            }
            _ => return error(format!("Invalid metadata value given: {}", shown(part))),
        }
    }
    let Some(name) = name else { return error("Library name was not given") };
    Ok((parts[0][2..].to_vec(), name.to_vec()))
}

impl Libraries {
    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// How many functions they have.
    #[must_use]
    pub(crate) fn functions(&self) -> usize {
        self.functions.len()
    }

    /// What they take in memory, about as a real server counts it.
    #[must_use]
    pub(crate) fn memory(&self) -> u64 {
        184 + self.iter().map(Library::memory).sum::<u64>()
    }

    /// All, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Library> {
        self.by_name.values().map(AsRef::as_ref)
    }

    /// A function by its name, whatever its case.
    #[must_use]
    pub(crate) fn find(&self, name: &[u8]) -> Option<(&Arc<Library>, &Function)> {
        let (library, at) = self.functions.get(&name.to_ascii_lowercase())?;
        Some((library, &library.functions[*at]))
    }

    fn has_function(&self, name: &[u8], except: Option<&Bytes>) -> bool {
        self.find(name).is_some_and(|(library, _)| except != Some(&library.name))
    }

    /// Makes a library of code and adds it. Returns its name, or the error as a reply, and the instructions that took
    /// (`functionsCreateWithLibraryCtx`).
    pub(crate) fn create(&mut self, code: &Bytes, replace: bool, budget: u64) -> (Result<Bytes, String>, u64) {
        let (name, body) = match self.check(code, replace) {
            Ok(parts) => parts,
            Err(problem) => return (Err(problem), 0),
        };
        let (loaded, work) = lua::load(body, budget);
        (self.add(name, code, loaded), work)
    }

    /// What a library keeps in its variables; `None`: it never does.
    #[must_use]
    pub(crate) fn state(&self, name: &[u8]) -> Option<&Journal> {
        self.states.get(name)
    }

    /// A function of a library has run.
    pub(super) fn set_state(&mut self, name: &[u8], state: Journal) {
        if let Some(known) = self.states.get_mut(name).filter(|known| known.is_of(&state)) {
            *known = state;
        }
    }

    /// The name that the code gives itself, if it may have it, and the code that is to run.
    fn check<'a>(&self, code: &'a Bytes, replace: bool) -> Result<(Bytes, &'a [u8]), String> {
        let (engine, name) = metadata(code)?;
        if !is_name(&name) {
            return error(
                "Library names can only contain letters, numbers, or underscores(_) and must be at least one character \
                 long",
            );
        }
        if !engine.eq_ignore_ascii_case(b"lua") {
            return error(format!("Engine '{}' not found", shown(&engine)));
        }
        let name = Bytes::from(name);
        if self.by_name.contains_key(&name) && !replace {
            return error(format!("Library '{}' already exists", shown(&name)));
        }
        Ok((name, Code::new(code).text))
    }

    fn add(&mut self, name: Bytes, code: &Bytes, loaded: Result<Loaded, String>) -> Result<Bytes, String> {
        let Loaded { functions, keeps_state } = loaded.map_err(|problem| format!("ERR {problem}"))?;
        if functions.is_empty() {
            return error("No functions registered");
        }
        if let Some(taken) = functions.iter().find(|function| self.has_function(&function.name, Some(&name))) {
            return error(format!("Function {} already exists", shown(&taken.name)));
        }
        let code = Bytes::copy_from_slice(code);
        let library = Library { name: name.clone(), sha: sha1(Code::new(&code).text), code, functions };
        Arc::make_mut(&mut self.by_name).insert(name.clone(), Arc::new(library));
        self.states.remove(&name);
        if keeps_state {
            self.states.insert(name.clone(), Journal::new());
        }
        self.index();
        Ok(name)
    }

    fn index(&mut self) {
        let mut functions = BTreeMap::new();
        for library in self.by_name.values() {
            for (at, function) in library.functions.iter().enumerate() {
                functions.entry(function.name.to_ascii_lowercase()).or_insert_with(|| (Arc::clone(library), at));
            }
        }
        self.functions = Arc::new(functions);
    }

    /// Removes one; false when it isn't there.
    pub(crate) fn delete(&mut self, name: &[u8]) -> bool {
        let found = Arc::make_mut(&mut self.by_name).remove(name).is_some();
        self.states.remove(name);
        self.index();
        found
    }

    /// Takes others in. The error is the reply; then nothing has changed (`libraryJoin`).
    pub(crate) fn join(&mut self, others: &Libraries, replace: bool) -> Result<(), String> {
        let mut joined = self.clone();
        for name in others.by_name.keys().filter(|name| self.by_name.contains_key(*name)) {
            if !replace {
                return error(format!("Library {} already exists", shown(name)));
            }
            joined.delete(name);
        }
        for library in others.iter() {
            if let Some(taken) = library.functions.iter().find(|function| joined.has_function(&function.name, None)) {
                return error(format!("Function {} already exists", shown(&taken.name)));
            }
        }
        let libraries = others.by_name.iter().map(|(name, library)| (name.clone(), Arc::clone(library)));
        Arc::make_mut(&mut joined.by_name).extend(libraries);
        joined.states.extend(others.states.iter().map(|(name, state)| (name.clone(), state.same())));
        joined.index();
        *self = joined;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::metadata;

    #[test]
    fn first_lines_are_read() {
        let ok = |engine: &str, name: &str| Ok((engine.as_bytes().to_vec(), name.as_bytes().to_vec()));
        assert_eq!(metadata(b"#!lua name=mylib\nreturn"), ok("lua", "mylib"));
        assert_eq!(metadata(b"#!LUA NAME=\"a b\"\n"), ok("LUA", "a b"));
        let error = |code: &[u8]| metadata(code).unwrap_err();
        assert_eq!(error(b"return"), "ERR Missing library metadata");
        assert_eq!(error(b"#!lua name=x"), "ERR Invalid library metadata");
        assert_eq!(error(b"#!lua\n"), "ERR Library name was not given");
        assert_eq!(error(b"#!lua nom=x\n"), "ERR Invalid metadata value given: nom=x");
    }
}
