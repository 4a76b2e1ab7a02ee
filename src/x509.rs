//! What a certificate says: whose it is, who issued it, when it holds, and for what.
//!
//! It is read, not verified: that is for whoever is shown it.

use der::asn1::{AnyRef, ObjectIdentifier, SetOfVec};
use der::{Reader, Sequence, SliceReader, Tag, TagNumber, Tagged, ValueOrd};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const KEY_USAGE: &str = "2.5.29.15";

/// Signatures with MD5 and SHA-1, which nobody should trust.
const WEAK: [&str; 4] =
    ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1", "1.2.840.10040.4.3"];

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// All of it.
    pub der: Vec<u8>,
    /// Its number, an unsigned integer of any length, without zeros in front.
    serial: Vec<u8>,
    /// The names as they are in it.
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Whether it may issue others.
    pub is_ca: bool,
    /// Whether its key may sign; none if it does not say for what the key is.
    pub may_sign: Option<bool>,
    /// Whether it was signed with a hash that is broken.
    pub is_weak: bool,
}

/// It is not a certificate of X.509.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACertificate;

impl From<der::Error> for NotACertificate {
    fn from(_: der::Error) -> Self {
        Self
    }
}

impl Certificate {
    /// Reads a certificate.
    pub fn of(der: &[u8]) -> Result<Self, NotACertificate> {
        let outer = elements(AnyRef::try_from(der)?.value())?;
        let [body, algorithm, _] = outer[..] else { return Err(NotACertificate) };
        let mut fields = elements(body.value())?;
        // The version. It may be left out in certificates of the first.
        if fields.first().is_some_and(|field| is_context(*field, 0)) {
            fields.remove(0);
        }
        let [serial, _, issuer, validity, subject, _, rest @ ..] = &fields[..] else {
            return Err(NotACertificate);
        };
        let times = elements(validity.value())?;
        let [not_before, not_after] = times[..] else { return Err(NotACertificate) };
        let mut certificate = Self {
            der: der.to_owned(),
            serial: serial.value().iter().copied().skip_while(|byte| *byte == 0).collect(),
            issuer: issuer.value().to_owned(),
            subject: subject.value().to_owned(),
            not_before: time(not_before)?,
            not_after: time(not_after)?,
            is_ca: false,
            may_sign: None,
            is_weak: WEAK.contains(&first_oid(algorithm.value())?.as_str()),
        };
        if let Some(extensions) = rest.iter().find(|field| is_context(**field, 3)) {
            certificate.read_extensions(extensions.value())?;
        }
        Ok(certificate)
    }

    fn read_extensions(&mut self, content: &[u8]) -> Result<(), NotACertificate> {
        for extension in elements(AnyRef::try_from(content)?.value())? {
            let parts = elements(extension.value())?;
            let Some(value) = parts.last() else { return Err(NotACertificate) };
            match first_oid(extension.value())?.as_str() {
                BASIC_CONSTRAINTS => {
                    let first = elements(AnyRef::try_from(value.value())?.value())?.first().copied();
                    self.is_ca =
                        first.is_some_and(|first| first.tag() == Tag::Boolean && first.value() != [0]);
                }
                KEY_USAGE => {
                    // The number of unused bits, then the bits.
                    let bits = AnyRef::try_from(value.value())?.value();
                    self.may_sign = Some(bits.get(1).is_some_and(|byte| byte & 0x80 != 0));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whose it is, for people.
    pub fn subject(&self) -> String {
        name_in_words(&self.subject).unwrap_or_default()
    }

    /// Who issued it, for people.
    pub fn issuer(&self) -> String {
        name_in_words(&self.issuer).unwrap_or_default()
    }

    /// Both, to tell one holder from another.
    pub fn names(&self) -> [&[u8]; 2] {
        [&self.issuer, &self.subject]
    }

    /// Whether it names nobody.
    pub fn is_anonymous(&self) -> bool {
        self.subject.is_empty()
    }

    /// Whether its issuer is itself.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Its number in decimal digits.
    pub fn serial(&self) -> String {
        let mut digits: Vec<u8> = vec![0];
        for byte in &self.serial {
            let mut carry = u32::from(*byte);
            for digit in &mut digits {
                let value = u32::from(*digit) * 256 + carry;
                (*digit, carry) = (u8::try_from(value % 10).unwrap_or_default(), value / 10);
            }
            while carry > 0 {
                digits.push(u8::try_from(carry % 10).unwrap_or_default());
                carry /= 10;
            }
        }
        digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
    }
}

/// The elements of a sequence.
fn elements(content: &[u8]) -> Result<Vec<AnyRef<'_>>, NotACertificate> {
    let mut reader = SliceReader::new(content)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.decode::<AnyRef<'_>>()?);
    }
    Ok(elements)
}

fn is_context(element: AnyRef<'_>, number: u32) -> bool {
    element.tag() == Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn first_oid(content: &[u8]) -> Result<String, NotACertificate> {
    let mut reader = SliceReader::new(content)?;
    Ok(reader.decode::<ObjectIdentifier>()?.to_string())
}

/// `YYMMDDHHMMSSZ`, of 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(element: AnyRef<'_>) -> Result<Timestamp, NotACertificate> {
    let digits = element.value().strip_suffix(b"Z").ok_or(NotACertificate)?;
    let century: &[u8] = match (element.tag(), digits.first()) {
        (Tag::UtcTime, Some(b'0'..=b'4')) => b"20",
        (Tag::UtcTime, _) => b"19",
        _ => b"",
    };
    let digits = [century, digits].concat();
    let number = |from: usize, to: usize| {
        let text = digits.get(from..to).and_then(|digits| std::str::from_utf8(digits).ok());
        text.and_then(|text| text.parse::<i16>().ok()).ok_or(NotACertificate)
    };
    let small = |at: usize| i8::try_from(number(at, at + 2)?).map_err(|_| NotACertificate);
    if digits.len() != 14 {
        return Err(NotACertificate);
    }
    let time = DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0);
    let time = time.map_err(|_| NotACertificate)?;
    // The end of the year 9999 stands for no end (RFC 5280, 4.1.2.5), and is a day too late for the library.
    Ok(TimeZone::UTC.to_timestamp(time).unwrap_or(Timestamp::MAX))
}

/// One part of a name, such as the country.
#[derive(PartialEq, Eq, PartialOrd, Ord, Sequence, ValueOrd)]
struct Attribute<'a> {
    kind: ObjectIdentifier,
    value: AnyRef<'a>,
}

/// Those that issuers have. Others are written by number.
const KINDS: [(&str, &str); 7] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// A name for people, the most specific part first: `CN=Corp Root CA, O=Corp`.
pub(crate) fn name_in_words(name: &[u8]) -> Option<String> {
    let mut reader = SliceReader::new(name).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        let attributes: SetOfVec<Attribute<'_>> = reader.decode().ok()?;
        for Attribute { kind, value } in attributes.iter() {
            let kind = kind.to_string();
            let known = KINDS.iter().find(|(number, _)| *number == kind);
            let label = known.map_or(kind.as_str(), |(_, label)| label);
            parts.push(format!("{label}={}", String::from_utf8_lossy(value.value())));
        }
    }
    parts.reverse();
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let tlv =
            |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).expect("short")], content].concat();
        tlv(0x31, &tlv(0x30, &[tlv(0x06, kind), tlv(tag, value)].concat()))
    }

    #[test]
    fn a_name_is_written_for_people() {
        let country = attribute(&[0x55, 4, 6], 0x13, b"NL");
        let organization = attribute(&[0x55, 4, 10], 0x0c, "Bücher".as_bytes());
        let common_name = attribute(&[0x55, 4, 3], 0x0c, b"Corp Root CA");
        let odd = attribute(&[0x55, 4, 5], 0x13, b"7");
        let rows = [
            ([country.clone(), organization, common_name].concat(), Some("CN=Corp Root CA, O=Bücher, C=NL")),
            ([country.clone(), odd].concat(), Some("2.5.4.5=7, C=NL")),
            (country[..country.len() - 1].to_vec(), None),
            (vec![], Some("")),
        ];
        for (name, text) in rows {
            assert_eq!(name_in_words(&name).as_deref(), text, "{name:?}");
        }
    }

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).expect("short")], content].concat()
    }

    #[test]
    fn a_time_is_read_in_both_forms() {
        let rows: [(u8, &[u8], Option<&str>); 8] = [
            (0x17, b"261125022512Z", Some("2026-11-25T02:25:12Z")),
            (0x17, b"491231235959Z", Some("2049-12-31T23:59:59Z")),
            (0x17, b"500101000000Z", Some("1950-01-01T00:00:00Z")),
            (0x18, b"20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (0x18, b"99991231235959Z", Some("9999-12-30T22:00:00.999999999Z")),
            (0x17, b"261325022512Z", None),
            (0x17, b"2611250225Z", None),
            (0x17, b"261125022512+0100", None),
        ];
        for (tag, text, expected) in rows {
            let der = element(tag, text);
            let found = time(AnyRef::try_from(der.as_slice()).expect("an element"));
            assert_eq!(found.ok().map(|time| time.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    /// Certificate, of which nothing matters but the number.
    fn numbered(serial: &[u8]) -> Certificate {
        let oid = element(0x30, &[0x06, 0x01, 0x2a]);
        let times = [element(0x17, b"261125022512Z"), element(0x17, b"261125022512Z")].concat();
        let (empty, validity) = (element(0x30, &[]), element(0x30, &times));
        let body =
            [element(0x02, serial), oid.clone(), empty.clone(), validity, empty.clone(), empty].concat();
        let der = element(0x30, &[element(0x30, &body), oid, element(0x03, &[0])].concat());
        Certificate::of(&der).expect("a certificate")
    }

    #[test]
    fn a_serial_number_of_any_length_is_written_in_decimal() {
        let rows: [(&[u8], &str); 6] = [
            (&[0], "0"),
            (&[9], "9"),
            (&[0x00, 0xff], "255"),
            (&[0x01, 0x00, 0x00], "65536"),
            (
                &[0x00, 0xf1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
                "320354392743577967845958275774511189776",
            ),
            (&[0x7f; 20], "727885129180488904360266563744972327436484050815"),
        ];
        for (serial, decimal) in rows {
            assert_eq!(numbered(serial).serial(), decimal, "{serial:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_end_the_program(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Certificate::of(&bytes);
            let _ = Certificate::of(&[&[0x30, 0x81, u8::try_from(bytes.len()).unwrap_or(0)], &bytes[..]].concat());
        }
    }
}
