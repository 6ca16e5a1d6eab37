//! The rows as a Parquet file: a column for each field of a row, with its own type, null where a run has no value.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value as Json;

use super::super::Failure;
use super::folder::{Rows, failure};
use crate::check::{METRICS, Unit};
use crate::report::sweep::Collector;
use crate::report::sweep::plan::{Plan, text};
use crate::report::sweep::record::{Record, plain};
use crate::rng::Seeds;

/// Rows are held and written in groups of so many.
const GROUP: usize = 8_192;

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Unsigned,
    Double,
    Bool,
    Text,
    /// A list of texts.
    Texts,
}

/// A field of a row.
enum Cell {
    Null,
    Int(i64),
    Double(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
}

type Get = Box<dyn Fn(&Plan, &Record) -> Cell>;

struct Column {
    name: String,
    kind: Kind,
    optional: bool,
    get: Get,
}

/// Writes the rows of a folder.
pub(super) fn write(folder: &Path, to: &Path, plan: &Plan, seeds: &Seeds) -> Result<(), Failure> {
    let columns = columns(plan);
    let broken = |error: ParquetError| Failure::Message(format!("can't write {}: {error}", to.display()));
    let file = File::create(to).map_err(|error| failure(to, "write", &error))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = schema(&columns).map_err(broken)?;
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(broken)?;
    let mut rows = Rows::open(folder, plan, seeds)?;
    let expect = Collector::new(plan.clone()).map_err(Failure::Message)?.expectations().to_vec();
    let mut group = Vec::with_capacity(GROUP);
    loop {
        let row = rows.next(&expect)?;
        let last = row.is_none();
        group.extend(row);
        if group.len() == GROUP || last && !group.is_empty() {
            let mut row_group = writer.next_row_group().map_err(broken)?;
            columns.iter().try_for_each(|column| column.write(plan, &group, &mut row_group)).map_err(broken)?;
            row_group.close().map_err(broken)?;
            group.clear();
        }
        if last {
            break;
        }
    }
    writer.close().map_err(broken)?;
    Ok(())
}

fn column(name: &str, kind: Kind, optional: bool, get: impl Fn(&Plan, &Record) -> Cell + 'static) -> Column {
    Column { name: name.to_owned(), kind, optional, get: Box::new(get) }
}

/// The same fields in the same order as a line of the rows.
fn columns(plan: &Plan) -> Vec<Column> {
    let signed = |n: u64| Cell::Int(i64::from_ne_bytes(n.to_ne_bytes()));
    let mut out = vec![column("seed", Kind::Unsigned, false, move |_, row| signed(row.seed.0))];
    if !plan.axes.is_empty() {
        out.push(column("variant", Kind::Int, false, |_, row| {
            Cell::Int(i64::try_from(row.variant).unwrap_or(i64::MAX))
        }));
    }
    for (at, axis) in plan.axes.iter().enumerate() {
        let kind = kind_of(&axis.values);
        out.push(column(&axis.field, kind, false, move |plan, row| {
            let value = &plan.axes[at].values[plan.variants[row.variant].choice[at]];
            match kind {
                Kind::Int => Cell::Int(value.as_i64().unwrap_or_default()),
                Kind::Double => Cell::Double(value.as_f64().unwrap_or_default()),
                Kind::Bool => Cell::Bool(value.as_bool().unwrap_or_default()),
                Kind::Unsigned | Kind::Text | Kind::Texts => Cell::Text(text(value)),
            }
        }));
    }
    let ms = |us: u64| plain(Unit::Time, i64::try_from(us).unwrap_or(i64::MAX));
    out.push(column("digest", Kind::Text, false, |_, row| Cell::Text(row.digest.to_string())));
    out.push(column("events", Kind::Unsigned, false, move |_, row| signed(row.events)));
    out.push(column("simulated_ms", Kind::Double, false, move |_, row| Cell::Double(ms(row.simulated_us))));
    out.push(column("passed", Kind::Bool, false, |_, row| Cell::Bool(row.passed())));
    out.push(column("failed", Kind::Texts, false, |plan, row| Cell::Texts(row.failures(plan))));
    out.push(column("verdict", Kind::Text, false, |_, row| Cell::Text(row.verdict.clone())));
    out.push(column("signature", Kind::Text, false, |_, row| Cell::Text(row.signature.clone())));
    out.push(column("ended", Kind::Text, false, |_, row| Cell::Text(row.ended.clone())));
    out.push(column("problem", Kind::Text, true, |_, row| row.problem.clone().map_or(Cell::Null, Cell::Text)));
    for (at, metric) in METRICS.iter().enumerate() {
        let unit = metric.unit;
        let kind = match unit {
            Unit::Count | Unit::Bytes => Kind::Int,
            Unit::Time | Unit::Ratio => Kind::Double,
            Unit::Bool => Kind::Bool,
        };
        out.push(column(metric.name, kind, true, move |_, row| match (row.metrics[at], unit) {
            (None, _) => Cell::Null,
            (Some(value), Unit::Count | Unit::Bytes) => Cell::Int(value),
            (Some(value), Unit::Time | Unit::Ratio) => Cell::Double(plain(unit, value)),
            (Some(value), Unit::Bool) => Cell::Bool(value != 0),
        }));
    }
    out
}

/// The narrowest type for all of a field's values.
fn kind_of(values: &[Json]) -> Kind {
    if values.iter().all(Json::is_i64) {
        Kind::Int
    } else if values.iter().all(Json::is_number) {
        Kind::Double
    } else if values.iter().all(Json::is_boolean) {
        Kind::Bool
    } else {
        Kind::Text
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(Column::schema).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("run").with_fields(fields).build()?))
}

impl Column {
    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let repetition = if self.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let plain = |physical: Physical| Type::primitive_type_builder(&self.name, physical).with_repetition(repetition);
        let built = match self.kind {
            Kind::Int => plain(Physical::INT64).build(),
            Kind::Unsigned => {
                let logical = LogicalType::integer(64, false);
                plain(Physical::INT64).with_logical_type(Some(logical)).build()
            }
            Kind::Double => plain(Physical::DOUBLE).build(),
            Kind::Bool => plain(Physical::BOOLEAN).build(),
            Kind::Text => plain(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)).build(),
            Kind::Texts => {
                let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
                    .with_repetition(Repetition::REQUIRED)
                    .with_logical_type(Some(LogicalType::String))
                    .build()?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element)])
                    .build()?;
                Type::group_type_builder(&self.name)
                    .with_repetition(repetition)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list)])
                    .build()
            }
        };
        built.map(Arc::new)
    }

    fn write(
        &self,
        plan: &Plan,
        rows: &[Record],
        group: &mut SerializedRowGroupWriter<'_, File>,
    ) -> Result<(), ParquetError> {
        let mut writer = group.next_column()?.expect("the schema has a column for each");
        let mut chunk = Chunk::default();
        for row in rows {
            chunk.push((self.get)(plan, row));
        }
        chunk.write(self, &mut writer)?;
        writer.close()
    }
}

/// A column of some rows.
#[derive(Default)]
struct Chunk {
    ints: Vec<i64>,
    doubles: Vec<f64>,
    bools: Vec<bool>,
    texts: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Chunk {
    fn push(&mut self, cell: Cell) {
        match cell {
            Cell::Null => return self.definition.push(0),
            Cell::Int(value) => self.ints.push(value),
            Cell::Double(value) => self.doubles.push(value),
            Cell::Bool(value) => self.bools.push(value),
            Cell::Text(value) => self.texts.push(value.into_bytes().into()),
            Cell::Texts(list) => return self.push_list(list),
        }
        self.definition.push(1);
    }

    /// An empty list has one entry that defines nothing; a list's later entries repeat it.
    fn push_list(&mut self, list: Vec<String>) {
        if list.is_empty() {
            self.definition.push(0);
            self.repetition.push(0);
        }
        for (at, text) in list.into_iter().enumerate() {
            self.definition.push(1);
            self.repetition.push(i16::from(at > 0));
            self.texts.push(text.into_bytes().into());
        }
    }

    fn write(&self, column: &Column, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let list = column.kind == Kind::Texts;
        let definition = (column.optional || list).then_some(self.definition.as_slice());
        let repetition = list.then_some(self.repetition.as_slice());
        match column.kind {
            Kind::Int | Kind::Unsigned => writer.typed::<Int64Type>().write_batch(&self.ints, definition, repetition),
            Kind::Double => writer.typed::<DoubleType>().write_batch(&self.doubles, definition, repetition),
            Kind::Bool => writer.typed::<BoolType>().write_batch(&self.bools, definition, repetition),
            Kind::Text | Kind::Texts => {
                writer.typed::<ByteArrayType>().write_batch(&self.texts, definition, repetition)
            }
        }?;
        Ok(())
    }
}
