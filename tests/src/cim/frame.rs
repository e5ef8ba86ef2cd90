//! CIM's frames, by hand: the length as a varint, then one protobuf message with five fields.

use std::collections::BTreeMap;

/// The largest frame that this client takes; CIM itself has no limit.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A varint of 64 bits has no more bytes.
const VARINT_BYTES_MAX: usize = 10;

const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// What a frame is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Command {
    /// A client says who it is.
    #[default]
    Login,
    /// One text, or several in order.
    Message,
    /// A ping, or the answer to one.
    Ping,
    /// Texts that waited for the user.
    Offline,
}

/// A message of either direction: both have the same fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Field 1.
    pub text: String,
    /// Field 2: a user.
    pub id: i64,
    /// Field 3.
    pub command: Command,
    /// Field 4.
    pub properties: BTreeMap<String, String>,
    /// Field 5: several texts.
    pub batch: Vec<String>,
}

/// Bytes that are no frame of CIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of CIM: {0}")]
pub struct Malformed(&'static str);

impl Frame {
    /// What a client says first, and once.
    pub fn login(user: i64, name: &str) -> Self {
        Self {
            text: name.to_owned(),
            id: user,
            ..Self::default()
        }
    }

    /// What a client says every now and then.
    pub fn ping(user: i64) -> Self {
        Self {
            text: "ping".to_owned(),
            id: user,
            command: Command::Ping,
            ..Self::default()
        }
    }

    /// The whole frame, with its length. Fields in the order of their numbers, defaults left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_text(&mut body, 1, &self.text);
        put_number(&mut body, 2, self.id.cast_unsigned());
        put_number(&mut body, 3, self.command as u64);
        for (key, value) in &self.properties {
            let mut entry = Vec::new();
            put_text(&mut entry, 1, key);
            put_text(&mut entry, 2, value);
            put_bytes(&mut body, 4, &entry);
        }
        for text in &self.batch {
            put_bytes(&mut body, 5, text.as_bytes());
        }
        let mut frame = Vec::new();
        put_varint(&mut frame, body.len() as u64);
        frame.extend(body);
        frame
    }

    /// Reads what follows the length. Anything that CIM's server never writes is an error.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut frame = Self::default();
        let mut fields = Fields(body);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(bytes)) => frame.text = text(bytes)?,
                (2, Value::Number(number)) => frame.id = number.cast_signed(),
                (3, Value::Number(number)) => frame.command = command(number)?,
                (4, Value::Bytes(bytes)) => {
                    let (key, value) = property(bytes)?;
                    if frame.properties.insert(key, value).is_some() {
                        return Err(Malformed("a property twice"));
                    }
                }
                (5, Value::Bytes(bytes)) => frame.batch.push(text(bytes)?),
                _ => return Err(Malformed("a field that there is not")),
            }
        }
        Ok(frame)
    }

    /// Takes the next whole frame from the front of what has arrived, if it is there.
    pub fn take(arrived: &mut Vec<u8>) -> Result<Option<Self>, Malformed> {
        let Some((length, at)) = varint(arrived)? else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(|_| Malformed("too long"))?;
        if length > FRAME_BYTES_MAX {
            return Err(Malformed("too long"));
        }
        let Some(body) = arrived.get(at..at + length) else {
            return Ok(None);
        };
        let frame = Self::decode(body)?;
        arrived.drain(..at + length);
        Ok(Some(frame))
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message, of the two wire types that CIM uses.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.number()?),
            BYTES => {
                let length = usize::try_from(self.number()?);
                let length = length.map_err(|_| Malformed("a field beyond the end"))?;
                Value::Bytes(self.bytes(length)?)
            }
            _ => return Err(Malformed("a wire type that no field has")),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let (number, length) = varint(self.0)?.ok_or(Malformed("cut short"))?;
        self.0 = &self.0[length..];
        Ok(number)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let split = self.0.split_at_checked(length);
        let (bytes, rest) = split.ok_or(Malformed("a field beyond the end"))?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn property(entry: &[u8]) -> Result<(String, String), Malformed> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut fields = Fields(entry);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => return Err(Malformed("a property with more than key and value")),
        }
    }
    Ok((key, value))
}

fn command(number: u64) -> Result<Command, Malformed> {
    match number {
        0 => Ok(Command::Login),
        1 => Ok(Command::Message),
        2 => Ok(Command::Ping),
        3 => Ok(Command::Offline),
        _ => Err(Malformed("a command that there is not")),
    }
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("not UTF-8"))?;
    Ok(text.to_owned())
}

/// The number at the front and how many bytes it has; none when the rest is still to come.
fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((number, index + 1)));
        }
    }
    if bytes.len() >= VARINT_BYTES_MAX {
        return Err(Malformed("an endless number"));
    }
    Ok(None)
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        put_varint(out, field << 3 | VARINT);
        put_varint(out, number);
    }
}

fn put_text(out: &mut Vec<u8>, field: u64, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: i64 = 1_547_028_929_407;

    fn hex(text: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn properties() -> BTreeMap<String, String> {
        [
            ("sendUserId", "100"),
            ("sendUserName", "cj"),
            ("receiveUserId", "1547028929407"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// Frames as CIM itself writes them.
    fn vectors() -> [(Frame, Vec<u8>); 5] {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        [
            (
                Frame::login(USER, "zhangsan"),
                hex("110a087a68616e6773616e10ffb6f090832d"),
            ),
            (Frame::ping(USER), hex("0f0a0470696e6710ffb6f090832d1802")),
            (
                Frame {
                    text: "pong".to_owned(),
                    command: Command::Ping,
                    ..Frame::default()
                },
                hex("080a04706f6e671802"),
            ),
            (
                Frame {
                    text: "hello".to_owned(),
                    id: USER,
                    command: Command::Message,
                    properties: properties(),
                    batch: Vec::new(),
                },
                hex(concat!(
                    "570a0568656c6c6f10ffb6f090832d1801221e0a0d72656365697665557365724964120d",
                    "3135343730323839323934303722110a0a73656e645573657249641203313030",
                    "22120a0c73656e64557365724e616d651202636a",
                )),
            ),
            (
                Frame {
                    text: String::new(),
                    id: USER,
                    command: Command::Offline,
                    properties: properties(),
                    batch: texts(&["m1", "m2"]),
                },
                hex(concat!(
                    "5810ffb6f090832d1803221e0a0d72656365697665557365724964120d",
                    "3135343730323839323934303722110a0a73656e645573657249641203313030",
                    "22120a0c73656e64557365724e616d651202636a2a026d312a026d32",
                )),
            ),
        ]
    }

    #[test]
    fn frames_are_written_as_cim_writes_them() {
        for (frame, bytes) in vectors() {
            assert_eq!(frame.encode(), bytes, "{frame:?}");
        }
    }

    #[test]
    fn frames_of_cim_are_read_however_they_arrive() {
        for (frame, bytes) in vectors() {
            let mut arrived = Vec::new();
            let (last, before) = bytes.split_last().unwrap();
            for byte in before {
                arrived.push(*byte);
                assert_eq!(Frame::take(&mut arrived), Ok(None));
            }
            arrived.push(*last);
            arrived.extend(&bytes);
            for _ in 0..2 {
                assert_eq!(Frame::take(&mut arrived), Ok(Some(frame.clone())));
            }
            assert!(arrived.is_empty());
        }
    }

    #[test]
    fn an_empty_frame_is_a_login_of_nobody() {
        assert_eq!(Frame::take(&mut vec![0]), Ok(Some(Frame::default())));
    }

    #[test]
    fn numbers_of_every_size_and_sign_come_back() {
        for id in [i64::MIN, -1, 0, 1, 127, 128, i64::MAX] {
            let frame = Frame::login(id, "");
            assert_eq!(Frame::take(&mut frame.encode()), Ok(Some(frame)));
        }
    }

    #[test]
    fn what_cim_never_writes_is_an_error() {
        for (what, body) in [
            ("field 6", "3001"),
            ("a number as text", "0801"),
            ("a text as number", "1200"),
            ("a fixed length", "0900000000000000"),
            ("command 4", "1804"),
            ("no UTF-8", "0a01ff"),
            ("beyond the end", "0a05616263"),
            ("a tag without value", "10"),
            ("a third field of a property", "22021800"),
            ("a property twice", "22030a016122030a0161"),
            ("an endless number", "10ffffffffffffffffffffff01"),
        ] {
            assert!(Frame::decode(&hex(body)).is_err(), "{what}");
        }
        assert!(Frame::take(&mut hex("ffffffff7f")).is_err());
    }
}
