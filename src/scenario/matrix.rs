//! `[matrix]`: fields and lists of values; every combination is a variant of the scenario.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::field::{At, Field, Origin, table};
use super::source::{Place, Problems, Sources};
use super::tree::{Data, Format, Key, Tree};
use super::{Input, Layout, Loaded, Report, raw, set};

/// So many variants may a matrix have.
const VARIANTS_MAX: usize = 10_000;

/// The table as the file has it: paths as `--set` takes them, and lists of values.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Where it stands.
    pub origin: Origin,
    /// Each path and its values.
    pub axes: Vec<(At<String>, Vec<Tree>)>,
}

/// Two are equal when they say the same, wherever they stand.
impl PartialEq for Matrix {
    fn eq(&self, other: &Self) -> bool {
        self.write() == other.write()
    }
}

/// A field that varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its path, as `--set` takes it.
    pub field: String,
    /// Its values, in the file's order.
    pub values: Vec<serde_json::Value>,
    /// `--set`'s text for each of them.
    pub sets: Vec<String>,
}

/// A scenario in all its variants: every combination of the matrix, the last field changing fastest; a single one without a matrix.
#[derive(Clone, Debug)]
pub struct Variants {
    /// The fields that vary.
    pub axes: Vec<Axis>,
    /// The scenarios.
    pub list: Vec<Variant>,
    /// Warnings, those of the first variant.
    pub report: Report,
    /// The file with defaults filled in, changes applied, configuration files inlined, and its matrix.
    pub effective: raw::File,
}

/// One combination.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Which value of each axis.
    pub choice: Vec<usize>,
    /// The scenario.
    pub scenario: super::Scenario,
    /// The file with defaults filled in.
    pub effective: raw::File,
}

impl Variants {
    /// The effective file as TOML that loads to the same variants.
    #[must_use]
    pub fn print(&self) -> String {
        super::print::toml(&self.effective)
    }
}

impl Variant {
    /// The effective file of this variant alone.
    #[must_use]
    pub fn print(&self) -> String {
        super::print::toml(&self.effective)
    }
}

/// Makes every variant of a file.
///
/// # Errors
/// The mistakes of the file, or those of the first variant that has any.
pub fn load_variants(input: Input<'_>) -> Result<Variants, Box<Report>> {
    let mut problems = Problems::default();
    let mut sources = Sources::default();
    let Some((tree, matrix)) = open(input, &mut sources, &mut problems) else {
        return Err(Box::new(Report { sources, problems }));
    };
    let count = matrix.axes.iter().try_fold(1_usize, |count, (_, values)| count.checked_mul(values.len()));
    if problems.has_errors() || count.is_none_or(|count| count > VARIANTS_MAX) {
        if !problems.has_errors() {
            problems
                .error(matrix.origin.place, format!("more than {VARIANTS_MAX} combinations"))
                .help("every combination of the values is a variant of its own");
        }
        return Err(Box::new(Report { sources, problems }));
    }
    let mut list = Vec::new();
    let mut choice = vec![0; matrix.axes.len()];
    loop {
        let mut own = Problems::default();
        let said = &mut Said { layout: None, sources: &mut sources, problems: &mut own };
        let made = variant(input, &tree, &matrix, &choice, said);
        let broken = made.is_none() && !matrix.axes.is_empty();
        if broken {
            own.nowhere(format!("this is about the variant {}", describe(&matrix, &choice)));
        }
        // What is wrong in a later variant only matters when it is an error: warnings repeat themselves.
        if list.is_empty() || broken {
            problems = own;
        }
        match made {
            Some((scenario, effective)) => list.push(Variant { choice: choice.clone(), scenario, effective }),
            None => return Err(Box::new(Report { sources, problems })),
        }
        if !advance(&mut choice, &matrix) {
            break;
        }
    }
    let mut effective = list[0].effective.clone();
    effective.matrix = (!matrix.axes.is_empty()).then(|| matrix.clone());
    let axes = matrix.axes.iter().map(|(field, values)| axis(field, values)).collect();
    Ok(Variants { axes, list, report: Report { sources, problems }, effective })
}

/// Makes the only variant of a file.
///
/// # Errors
/// The mistakes of the file; that it has a matrix.
pub(super) fn load(input: Input<'_>, layout: Option<Layout>) -> Result<Loaded, Box<Report>> {
    let mut problems = Problems::default();
    let mut sources = Sources::default();
    let Some((tree, matrix)) = open(input, &mut sources, &mut problems) else {
        return Err(Box::new(Report { sources, problems }));
    };
    if !matrix.axes.is_empty() {
        let count: usize = matrix.axes.iter().map(|(_, values)| values.len()).product();
        let first: Vec<String> =
            vec![0; matrix.axes.len()].iter().zip(&matrix.axes).map(|(at, axis)| set_text(axis, *at)).collect();
        let picked: Vec<String> = first.iter().map(|set| format!("--set '{set}'")).collect();
        problems
            .error(matrix.origin.place, format!("a scenario in {count} variants, where a single one is needed"))
            .label("every combination of these values")
            .help(format!("`splitbrain sweep` runs all of them; {} picks one", picked.join(" ")));
        return Err(Box::new(Report { sources, problems }));
    }
    match variant(input, &tree, &matrix, &[], &mut Said { layout, sources: &mut sources, problems: &mut problems }) {
        Some((scenario, effective)) => Ok(Loaded { scenario, effective, report: Report { sources, problems } }),
        None => Err(Box::new(Report { sources, problems })),
    }
}

/// The file's tree with the changes applied, and its matrix without the fields that a change has fixed.
fn open(input: Input<'_>, sources: &mut Sources, problems: &mut Problems) -> Option<(Tree, Matrix)> {
    let source = sources.add(input.name, input.text);
    let format = Format::of(input.name, input.text);
    let mut tree = super::tree::parse(input.text, format, source, problems)?;
    for change in input.sets {
        set::apply(&mut tree, change, sources, problems);
    }
    super::refuse_later(&mut tree, problems);
    let mut matrix = Matrix::default();
    if let Data::Table(entries) = &mut tree.data
        && let Some(at) = entries.iter().position(|(key, _)| key.name == "matrix")
    {
        let (_, table) = entries.remove(at);
        matrix = Matrix::read(&table, problems)?;
    }
    let fixed: Vec<_> = input.sets.iter().filter_map(|change| set::path_of(change)).collect();
    matrix.axes.retain(|(field, _)| set::path(field).is_ok_and(|path| !fixed.contains(&path)));
    Some((tree, matrix))
}

/// What a variant is made with besides its file: how it is laid out, and where its mistakes go.
struct Said<'a> {
    layout: Option<Layout>,
    sources: &'a mut Sources,
    problems: &'a mut Problems,
}

fn variant(
    input: Input<'_>,
    tree: &Tree,
    matrix: &Matrix,
    choice: &[usize],
    said: &mut Said<'_>,
) -> Option<(super::Scenario, raw::File)> {
    let Said { layout, sources, problems } = said;
    let mut tree = tree.clone();
    for ((field, values), at) in matrix.axes.iter().zip(choice) {
        set::put(&mut tree, field, field.place, values[*at].clone(), problems);
    }
    let mut effective = <raw::File as Field>::read(&tree, problems)?;
    let stem = super::stem(input.name);
    let scenario = super::resolve::resolve(&mut effective, &stem, sources, problems, (input.read_file, *layout))?;
    Some((scenario, effective))
}

/// The next combination; false after the last.
fn advance(choice: &mut [usize], matrix: &Matrix) -> bool {
    for (at, (_, values)) in choice.iter_mut().zip(&matrix.axes).rev() {
        *at += 1;
        if *at < values.len() {
            return true;
        }
        *at = 0;
    }
    false
}

fn describe(matrix: &Matrix, choice: &[usize]) -> String {
    let texts = matrix.axes.iter().zip(choice).map(|(axis, at)| set_text(axis, *at));
    texts.collect::<Vec<_>>().join(", ")
}

fn axis(field: &At<String>, values: &[Tree]) -> Axis {
    let both = (field.clone(), values.to_vec());
    Axis {
        field: field.value.clone(),
        values: values.iter().map(|value| value.data.json()).collect(),
        sets: (0..values.len()).map(|at| set_text(&both, at)).collect(),
    }
}

/// What `--set` takes to choose the value.
fn set_text((field, values): &(At<String>, Vec<Tree>), at: usize) -> String {
    let value = &values[at];
    let plain = if let Data::Text(text) = &value.data
        && set::reads_back(text)
    {
        text.clone()
    } else {
        super::print::value(&value.data)
    };
    format!("{}={plain}", field.value)
}

impl Field for Matrix {
    fn read(tree: &Tree, problems: &mut Problems) -> Option<Self> {
        let before = problems.count();
        let mut axes = Vec::new();
        collect(tree, "", &mut axes, problems);
        for (n, (field, _)) in axes.iter().enumerate() {
            let field: &At<String> = field;
            match set::path(field) {
                Err(message) => {
                    problems
                        .error(field.place, message)
                        .help("a path as --set takes it: \"sentinel[0].monitor[0].quorum\"");
                }
                Ok(path) if axes[..n].iter().any(|(other, _)| set::path(other).as_ref() == Ok(&path)) => {
                    problems.error(field.place, format!("`{}` is in the matrix twice", field.value));
                }
                Ok(_) => {}
            }
            if ["name", "description", "seed", "matrix"].contains(&field.as_str()) {
                problems
                    .error(field.place, format!("`{}` can't vary", field.value))
                    .help("seeds are what --seeds is for");
            }
        }
        let damaged = problems.count() > before;
        Some(Matrix { origin: Origin { place: tree.place, damaged }, axes })
    }

    fn write(&self) -> Option<Data> {
        let entry = |(field, values): &(At<String>, Vec<Tree>)| {
            let bare = |value: &Tree| value.data.clone().at(Place::default());
            (field.value.clone(), Data::List(values.iter().map(bare).collect()))
        };
        let entries: Vec<(String, Data)> = self.axes.iter().map(entry).collect();
        (!entries.is_empty()).then(|| table(entries.iter().map(|(name, data)| (name.as_str(), data.clone()))))
    }
}

/// Lists of values are axes; tables are parts of their paths (`network.latency = […]` without quotes).
fn collect(tree: &Tree, prefix: &str, axes: &mut Vec<(At<String>, Vec<Tree>)>, problems: &mut Problems) {
    let Data::Table(entries) = &tree.data else {
        problems.error(tree.place, format!("expected a table of fields, found {}", tree.data.describe()));
        return;
    };
    for (Key { place, name }, value) in entries {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match &value.data {
            Data::List(values) if values.is_empty() => {
                problems.error(value.place, format!("`{path}` has no values")).label("an empty list");
            }
            Data::List(values) => {
                if let Some(again) =
                    (1..values.len()).find(|&n| values[..n].iter().any(|v| v.data.json() == values[n].data.json()))
                {
                    problems.error(values[again].place, format!("`{path}` has this value twice"));
                }
                axes.push((At { place: *place, value: path }, values.clone()));
            }
            Data::Table(_) => collect(value, &path, axes, problems),
            other @ (Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_)) => {
                problems
                    .error(value.place, format!("expected a list of values for `{path}`, found {}", other.describe()))
                    .help("for example \"network.latency\" = [\"0.5ms\", \"5ms\"]");
            }
        }
    }
}

impl JsonSchema for Matrix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matrix".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Paths of fields as --set takes them, and for each a list of values.",
            "type": "object",
            "additionalProperties": {
                "anyOf": [{ "type": "array", "minItems": 1 }, { "$ref": "#/$defs/Matrix" }]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "duration = '1s'\n[[redis]]\nname = 'r1'\n";

    fn of(matrix: &str, sets: &[&str]) -> Result<Variants, String> {
        let text = format!("{BASE}[matrix]\n{matrix}");
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let read_file = |_: &str| Err(String::new());
        load_variants(Input { name: "m.toml", text: &text, sets: &sets, read_file: &read_file })
            .map_err(|report| report.render(100, false))
    }

    #[test]
    fn every_combination_is_a_variant() {
        let all = of("network.latency = ['1ms', '2ms', '3ms']\n'redis[0].config.hz' = [10, 20]\n", &[]).expect("valid");
        let choices: Vec<&[usize]> = all.list.iter().map(|variant| variant.choice.as_slice()).collect();
        assert_eq!(choices, [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]);
        assert_eq!(all.axes[0].sets, ["network.latency=1ms", "network.latency=2ms", "network.latency=3ms"]);
        assert_eq!(all.axes[1].values, [serde_json::json!(10), serde_json::json!(20)]);
        let printed = all.print();
        assert!(printed.contains("[matrix]\n\"network.latency\" = [\"1ms\", \"2ms\", \"3ms\"]"), "{printed}");
        let read_file = |_: &str| Err(String::new());
        let again = load_variants(Input { name: "m.toml", text: &printed, sets: &[], read_file: &read_file })
            .expect("prints a scenario");
        assert_eq!(again.effective, all.effective);
        assert_eq!(of("", &[]).expect("an empty matrix").list.len(), 1);
    }

    #[test]
    fn a_change_fixes_a_field() {
        let matrix = "network.latency = ['1ms', '2ms']\n'redis[0].config.hz' = [10, 20]\n";
        let fixed = of(matrix, &["network.latency=7ms"]).expect("valid");
        assert_eq!((fixed.axes.len(), fixed.list.len()), (1, 2));
        let text = format!("{BASE}[matrix]\n{matrix}");
        let read_file = |_: &str| Err(String::new());
        let load = |sets: &[String]| {
            crate::scenario::load(Input { name: "m.toml", text: &text, sets, read_file: &read_file })
                .map_err(|r| r.render(200, false))
        };
        let error = load(&[]).expect_err("a matrix");
        assert!(
            error.contains("4 variants") && error.contains("--set 'network.latency=1ms' --set 'redis[0].config.hz=10'"),
            "{error}"
        );
        let both = ["network.latency=2ms".to_owned(), "redis[0].config.hz=20".to_owned()];
        assert!(load(&both).is_ok());
    }

    #[test]
    fn mistakes_point_at_their_place() {
        for (matrix, message) in [
            ("network.latency = []", "has no values"),
            ("network.latency = '1ms'", "expected a list of values"),
            ("network.latency = ['1ms', '1ms']", "this value twice"),
            ("network.latency = ['1ms', 'soon']", "in the variant network.latency=soon"),
            ("network.latencies = ['1ms']", "unknown field `latencies`"),
            ("'redis[7].name' = ['r']", "there is no item [7]"),
            ("'a..b' = [1]", "a name is missing"),
            ("seed = [1, 2]", "can't vary"),
            ("network.latency = ['1ms']\n'network.loss' = [0.1]\nnetwork.'latency' = ['2ms']", "duplicate"),
        ] {
            let error = of(matrix, &[]).expect_err(matrix);
            let flat = error.replace("about the variant", "in the variant");
            assert!(flat.contains(message), "{matrix}: {error}");
        }
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        let many = format!("network.loss = [{0}]\nsettle = [{0}]\n", many.join(", "));
        assert!(of(&many, &[]).expect_err("too many").contains("more than 10000"));
    }
}
