//! `struct`: packing of C structures, as Roberto Ierusalimschy's library of that name does it.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::{convert, errors, numbers};

/// Integers of more bytes are refused (`MAXINTSIZE`).
const INTEGER_MAX: i32 = 32;
/// The natural alignment.
const ALIGNMENT: i32 = 8;

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.set("pack", lua.create_function(|lua, args: MultiValue| pack(lua, &args))?)?;
    table.set("unpack", lua.create_function(|lua, args: MultiValue| unpack(lua, &args))?)?;
    table.set("size", lua.create_function(|lua, args: MultiValue| size(lua, &args))?)?;
    Ok(table)
}

/// A format being read.
struct Format<'a> {
    lua: &'a Lua,
    name: &'static str,
    text: &'a [u8],
    at: usize,
    big: bool,
    align: usize,
}

/// One item of it: the letter, its size, how many bytes of padding come before it.
struct Item {
    letter: u8,
    size: usize,
    padding: usize,
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, name: &'static str, text: &'a [u8]) -> Format<'a> {
        Format { lua, name, text: errors::until_nul(text), at: 0, big: false, align: 1 }
    }

    fn number(&mut self, default: i32) -> Result<i32> {
        let mut value: Option<i32> = None;
        while let Some(digit) = self.text.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            let next = value.unwrap_or(0).checked_mul(10).and_then(|value| value.checked_add(i32::from(digit - b'0')));
            let Some(next) = next else { return errors::positioned(self.lua, "integral size overflow") };
            value = Some(next);
            self.at += 1;
        }
        Ok(value.unwrap_or(default))
    }

    fn size_of(&mut self, letter: u8) -> Result<usize> {
        let size = match letter {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_MAX {
                    let text = format!("integral size {size} is larger than limit of {INTEGER_MAX}");
                    return errors::positioned(self.lua, &text);
                }
                size
            }
            _ => 0,
        };
        Ok(usize::try_from(size).unwrap_or(0))
    }

    /// The next item, at that position of the data.
    fn next(&mut self, position: usize) -> Result<Option<Item>> {
        let Some(&letter) = self.text.get(self.at) else { return Ok(None) };
        self.at += 1;
        let size = self.size_of(letter)?;
        let padding = if size == 0 || letter == b'c' {
            0
        } else {
            let unit = size.min(self.align);
            unit.wrapping_sub(position & unit.wrapping_sub(1)) & unit.wrapping_sub(1)
        };
        Ok(Some(Item { letter, size, padding }))
    }

    /// Byte order and alignment.
    fn control(&mut self, letter: u8) -> Result<()> {
        match letter {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.number(ALIGNMENT)?;
                if align <= 0 || align & (align - 1) != 0 {
                    return errors::positioned(self.lua, &format!("alignment {align} is not a power of 2"));
                }
                self.align = usize::try_from(align).unwrap_or(1);
            }
            other => {
                let text = format!("invalid format option '{}'", char::from(other));
                return errors::argument(self.lua, 1, self.name, &text);
            }
        }
        Ok(())
    }

    /// Bytes that lie in the order of the format, from little-endian ones.
    fn ordered(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.big {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, args: &MultiValue) -> Result<Value> {
    let text = numbers::text_argument(lua, args, 1, "pack")?;
    let mut format = Format::new(lua, "pack", &text);
    let mut out = Vec::new();
    let (mut arg, mut total) = (2, 0);
    while let Some(Item { letter, mut size, padding }) = format.next(total)? {
        total += padding;
        out.resize(out.len() + padding, 0);
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let value = unsigned(numbers::argument(lua, args, arg, "pack")?);
                let mut bytes = value.to_le_bytes().to_vec();
                bytes.resize(size.max(8), 0);
                bytes.truncate(size);
                out.extend(format.ordered(bytes));
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                #[expect(clippy::cast_possible_truncation, reason = "as C does it")]
                let value = numbers::argument(lua, args, arg, "pack")? as f32;
                out.extend(format.ordered(value.to_le_bytes().to_vec()));
                arg += 1;
            }
            b'd' => {
                let value = numbers::argument(lua, args, arg, "pack")?;
                out.extend(format.ordered(value.to_le_bytes().to_vec()));
                arg += 1;
            }
            b'c' | b's' => {
                let text = numbers::text_argument(lua, args, arg, "pack")?;
                arg += 1;
                if size == 0 {
                    size = text.len();
                }
                if text.len() < size {
                    return errors::argument(lua, arg, "pack", "string too short");
                }
                out.extend_from_slice(&text[..size]);
                if letter == b's' {
                    out.push(0);
                    size += 1;
                }
            }
            other => format.control(other)?,
        }
        total += size;
    }
    Ok(Value::String(lua.create_string(out)?))
}

/// As C casts a double to an unsigned long, by way of a signed one below zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as C does it")]
fn unsigned(value: f64) -> u64 {
    if value < 0.0 { convert::truncated(value).cast_unsigned() } else { value as u64 }
}

#[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
fn integer(bytes: &[u8], big: bool, signed: bool) -> f64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) };
    if !signed {
        return value as f64;
    }
    // The shift of a mask for more than eight bytes wraps.
    let shift = u32::try_from(bytes.len() * 8).unwrap_or(64).wrapping_sub(1) & 63;
    let mask = u64::MAX << shift;
    (if value & mask == 0 { value } else { value | mask }).cast_signed() as f64
}

fn unpack(lua: &Lua, args: &MultiValue) -> Result<MultiValue> {
    let text = numbers::text_argument(lua, args, 1, "unpack")?;
    let data = numbers::text_argument(lua, args, 2, "unpack")?;
    let position = match args.get(2) {
        None | Some(Value::Nil) => 1,
        Some(_) => convert::truncated(numbers::argument(lua, args, 3, "unpack")?),
    };
    // A negative one is a huge one to C.
    let Some(mut at) = position.cast_unsigned().checked_sub(1).and_then(|at| usize::try_from(at).ok()) else {
        return errors::argument(lua, 3, "unpack", "offset must be 1 or greater");
    };
    let mut format = Format::new(lua, "unpack", &text);
    let mut results: Vec<Value> = Vec::new();
    while let Some(Item { letter, mut size, padding }) = format.next(at)? {
        at = at.wrapping_add(padding);
        let too_short = |size: usize| size > data.len() || at > data.len() - size;
        if too_short(size) {
            return errors::argument(lua, 2, "unpack", "data string too short");
        }
        let bytes = &data[at..at + size];
        match letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                results.push(Value::Number(integer(bytes, format.big, letter.is_ascii_lowercase())));
            }
            b'x' => {}
            b'f' => {
                let bytes = <[u8; 4]>::try_from(bytes).expect("four bytes");
                let value = if format.big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
                results.push(Value::Number(f64::from(value)));
            }
            b'd' => {
                let bytes = <[u8; 8]>::try_from(bytes).expect("eight bytes");
                let value = if format.big { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) };
                results.push(Value::Number(value));
            }
            b'c' => {
                if size == 0 {
                    let Some(previous) = results.pop().as_ref().and_then(numbers::of) else {
                        return errors::positioned(lua, "format 'c0' needs a previous size");
                    };
                    size = usize::try_from(unsigned(previous)).unwrap_or(usize::MAX);
                    if too_short(size) {
                        return errors::argument(lua, 2, "unpack", "data string too short");
                    }
                }
                results.push(Value::String(lua.create_string(&data[at..at + size])?));
            }
            b's' => {
                let Some(end) = memchr::memchr(0, &data[at..]) else {
                    return errors::positioned(lua, "unfinished string in data");
                };
                results.push(Value::String(lua.create_string(&data[at..at + end])?));
                size = end + 1;
            }
            other => format.control(other)?,
        }
        at += size;
    }
    #[expect(clippy::cast_precision_loss, reason = "a position in a text")]
    results.push(Value::Number((at + 1) as f64));
    Ok(MultiValue::from_vec(results))
}

fn size(lua: &Lua, args: &MultiValue) -> Result<usize> {
    let text = numbers::text_argument(lua, args, 1, "size")?;
    let mut format = Format::new(lua, "size", &text);
    let mut at = 0usize;
    while let Some(Item { letter, size, padding }) = format.next(at)? {
        at += padding;
        if letter == b's' {
            return errors::argument(lua, 1, "size", "option 's' has no fixed size");
        }
        if letter == b'c' && size == 0 {
            return errors::argument(lua, 1, "size", "option 'c0' has no fixed size");
        }
        if !letter.is_ascii_alphanumeric() {
            format.control(letter)?;
        }
        at += size;
    }
    Ok(at)
}
