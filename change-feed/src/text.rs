/// Defines a string newtype that is checked when it is made: 1 to `$most` bytes, no control
/// characters, no white space at either end. `$error` has `invalid(field, value, reason)`.
///
/// For the crates of stockade, which share this rule but not the types.
#[doc(hidden)]
#[macro_export]
macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $field:literal, $most:literal, $error:ty) => {
        $(#[$doc])*
        #[doc = concat!("\n\n1 to ", $most, " bytes, without control characters, and without white space at either end.")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(::std::sync::Arc<str>);

        impl $name {
            /// Checks a value.
            ///
            /// # Errors
            /// `Invalid`, naming the field, the value and what is allowed.
            pub fn new(value: impl AsRef<str>) -> Result<Self, $error> {
                let value = value.as_ref();
                let reason = if value.is_empty() || value.len() > $most {
                    concat!("it has to be 1 to ", $most, " bytes long")
                } else if value.chars().any(char::is_control) {
                    "control characters are not allowed"
                } else if value.trim().len() != value.len() {
                    "white space at either end is not allowed"
                } else {
                    return Ok(Self(value.into()));
                };
                Err(<$error>::invalid($field, value, reason))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ::std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(value: String) -> Result<Self, $error> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().to_owned()
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $error;

            fn from_str(value: &str) -> Result<Self, $error> {
                Self::new(value)
            }
        }
    };
}

/// The beginning of a value that may be long or hostile, safe to put in an error message.
#[must_use]
pub fn shorten(value: &str) -> String {
    const MOST: usize = 80;
    if value.len() <= MOST {
        return value.to_owned();
    }
    let end = (0..=MOST)
        .rev()
        .find(|&at| value.is_char_boundary(at))
        .unwrap_or(0);
    format!("{}… ({} bytes)", &value[..end], value.len())
}
