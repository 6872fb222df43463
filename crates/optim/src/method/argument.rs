//! A method's arguments, by name.

use std::fmt::{self, Display};

/// One argument of a method: its name in the textual form, and its value, whether it was given or is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its value; `true` or `false` where it is a bare word, `none` where an option is off.
    pub value: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Always written.
    Shown,
    /// Not written, since it is at rest.
    Silent,
    /// A bare word, written where it is `true`.
    Word,
}

impl Argument {
    /// One that is always written.
    pub fn shown(name: &'static str, value: impl Display) -> Self {
        Self { name, value: value.to_string(), kind: Kind::Shown }
    }

    /// One that is written unless it has the value at which it does nothing.
    pub fn unless<T: PartialEq + Display>(name: &'static str, value: T, rest: T) -> Self {
        let kind = if value == rest { Kind::Silent } else { Kind::Shown };
        Self { name, value: value.to_string(), kind }
    }

    /// One that is written where it is given.
    pub fn option(name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => Self::shown(name, value),
            None => Self { name, value: "none".into(), kind: Kind::Silent },
        }
    }

    /// A bare word.
    pub fn word(name: &'static str, given: bool) -> Self {
        Self { name, value: given.to_string(), kind: Kind::Word }
    }

    /// Whether its value is a number, which may change when a saved run goes on.
    pub fn is_number(&self) -> bool {
        self.value.parse::<f64>().is_ok()
    }

    /// Writes a method's textual form, `name:key=value,word`.
    ///
    /// # Errors
    /// Where the formatter refuses.
    pub fn write(f: &mut fmt::Formatter<'_>, name: &str, arguments: &[Self]) -> fmt::Result {
        f.write_str(name)?;
        let mut separator = ":";
        for Self { name, value, kind } in arguments {
            match kind {
                Kind::Shown => write!(f, "{separator}{name}={value}")?,
                Kind::Word if value == "true" => write!(f, "{separator}{name}")?,
                Kind::Silent | Kind::Word => continue,
            }
            separator = ",";
        }
        Ok(())
    }
}

/// `Display` of a method from its row and its arguments.
macro_rules! display_by_arguments {
    ($method:ty, $name:expr) => {
        impl std::fmt::Display for $method {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::Argument::write(f, $name, &$crate::Algorithm::arguments(self))
            }
        }
    };
}
pub(crate) use display_by_arguments;

/// Arguments, one list after the other.
pub(crate) fn chained(
    first: impl IntoIterator<Item = Argument>,
    then: impl IntoIterator<Item = Argument>,
) -> Vec<Argument> {
    first.into_iter().chain(then).collect()
}
