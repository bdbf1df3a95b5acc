//! How numbers and texts are written in pickles. Owns their forms; knows nothing of the machine that reads them.

use super::value::Value;
use std::borrow::Cow;

/// An integer in decimal digits, as protocol 0 writes it; absent if it is none.
pub(super) fn decimal(line: &[u8]) -> Option<Value<'static>> {
    let digits = line.strip_suffix(b"L").unwrap_or(line).trim_ascii();
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = std::str::from_utf8(digits).ok()?.parse();
    Some(value.map_or(Value::LongInt, Value::Int))
}

/// The integer of some little-endian bytes in two's complement.
pub(super) fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > size_of::<i128>() {
        return Value::LongInt;
    }
    let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
    let mut wide = [sign; size_of::<i128>()];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i128::from_le_bytes(wide))
}

/// A text; what is not UTF-8, as texts of Python 2 may be, stays bytes.
pub(super) fn text(bytes: Cow<'_, [u8]>) -> Value<'_> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map_or(Value::Bytes(Cow::Borrowed(bytes)), |text| Value::Text(Cow::Borrowed(text))),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map_or_else(|error| Value::Bytes(Cow::Owned(error.into_bytes())), |text| Value::Text(Cow::Owned(text))),
    }
}

/// The bytes that a line with backslashes stands for; only escapes that begin with one of `known` are any.
pub(super) fn unescaped<'a>(line: &'a [u8], known: &[u8]) -> Option<Cow<'a, [u8]>> {
    if !line.contains(&b'\\') {
        return Some(Cow::Borrowed(line));
    }
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let letter = match rest.first() {
            Some(letter) if byte == b'\\' && known.contains(letter) => *letter,
            _ => {
                out.push(byte);
                continue;
            }
        };
        rest = &rest[1..];
        let n_digits = match letter {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        if n_digits == 0 {
            out.push(match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                other => other,
            });
            continue;
        }
        let (digits, behind) = rest.split_at_checked(n_digits)?;
        rest = behind;
        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        match letter {
            b'x' => out.push(u8::try_from(code).expect("two digits")),
            _ => out.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(Cow::Owned(out))
}
