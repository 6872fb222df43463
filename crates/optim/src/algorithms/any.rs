//! The table of all methods, by which textual forms are read.

use std::str::FromStr;

use backburn_compress::text::{Form, TextError, serde_as_text};

use super::{
    beer, bidirectional, compressed_sgd, demo, dgc, dion, ecx, ef_sgd, ef21, ef21_ideal, ef21_muon, neolithic,
    onebit_adam, outer_sgd, perturbed, power_sgd, sgd, sketched_top_k, zero_one_adam,
};
use crate::method::AnyAlgorithm;

/// All textual forms: a new method adds its row.
static TABLE: &[&Form<AnyAlgorithm>] = &[
    &sgd::FORM,
    &compressed_sgd::FORM,
    &ef_sgd::FORM,
    &bidirectional::FORM,
    &perturbed::FORM,
    &ef21::SGD,
    &ef21::SGDM,
    &ef21::SGD2M,
    &ef21_ideal::SGD,
    &ef21_ideal::SGDM,
    &ecx::FORM,
    &neolithic::FORM,
    &beer::FORM,
    &dgc::FORM,
    &power_sgd::FORM,
    &sketched_top_k::FORM,
    &onebit_adam::FORM,
    &zero_one_adam::FORM,
    &ef21_muon::FORM,
    &dion::FORM,
    &demo::FORM,
    &outer_sgd::LOCAL_SGD,
    &outer_sgd::DILOCO,
    &outer_sgd::SPARSE_LOCO,
    &outer_sgd::MU_LOCO,
];

impl AnyAlgorithm {
    /// Every form that parses, with its meaning, source and defaults.
    pub fn table() -> &'static [&'static Form<Self>] {
        TABLE
    }

    /// Whether states that were saved under this textual form may be read by this method.
    pub fn continues(&self, saved: &str) -> bool {
        match saved.parse::<Self>() {
            Ok(saved) => saved.structure() == self.structure(),
            Err(_) => saved == self.to_string(),
        }
    }
}

impl FromStr for AnyAlgorithm {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Form::read(TABLE, "algorithm", text)
    }
}

serde_as_text!(AnyAlgorithm);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_round_trips() {
        for row in TABLE {
            assert!(row.link.starts_with("https://") && !row.equation.is_empty(), "{}", row.name);
            for example in row.examples {
                let parsed: AnyAlgorithm = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
                let again: AnyAlgorithm = parsed.to_string().parse().unwrap_or_else(|e| panic!("{parsed}: {e}"));
                assert_eq!(parsed, again);
                assert_eq!(parsed.name(), row.name);
                let json = serde_json::to_string(&parsed).unwrap();
                assert_eq!(serde_json::from_str::<AnyAlgorithm>(&json).unwrap(), parsed);
            }
        }
    }

    #[test]
    fn defaults_are_those_of_the_rows() {
        for row in TABLE {
            let arguments = row.examples[0].parse::<AnyAlgorithm>().unwrap().arguments();
            for (default, _) in row.defaults {
                let (name, value) = default.split_once('=').unwrap_or((default, "false"));
                assert!(arguments.iter().any(|(n, _)| *n == name), "{}: {name} among {arguments:?}", row.name);
                let given = row.examples[0].contains(&format!("{name}="));
                assert!(given || arguments.contains(&(name, value.into())), "{}: {default}, {arguments:?}", row.name);
            }
        }
    }

    #[test]
    fn a_default_given_or_left_out_is_the_same_method() {
        let parsed = |text: &str| text.parse::<AnyAlgorithm>().unwrap();
        for (given, left_out) in [
            ("ef-sgd:momentum=0,weight-decay=0", "ef-sgd"),
            ("ef-sgd:decay=1,outside", "ef-sgd:outside"),
            ("dgc:momentum=0.90,warmup=0", "dgc"),
            ("ecx:alpha=0.5,beta=1,estimator=momentum", "ecx"),
            ("powersgd:rank=4", "powersgd"),
            ("beer:graph=ring,gossip=0.4", "beer"),
            ("perturbed:r=0.1,columns=64", "perturbed:r=0.1"),
        ] {
            assert_eq!(parsed(given), parsed(left_out));
            assert!(parsed(left_out).continues(given) && parsed(given).continues(left_out));
        }
        assert_ne!(parsed("ef-sgd:momentum=0.9"), parsed("ef-sgd"));
        assert!(parsed("ef-sgd:momentum=0.9").continues("ef-sgd"), "numbers may change");
        assert!(!parsed("ef-sgd:outside").continues("ef-sgd"));
        assert!(!parsed("ecx:estimator=storm").continues("ecx"));
        assert!(!parsed("perturbed:r=0.1,interval=3").continues("perturbed:r=0.1"));
        assert!(!parsed("beer:graph=er:0.5").continues("beer:graph=er:0.6"));
    }

    #[test]
    fn refusals_say_what_is_allowed() {
        let message = |text: &str| text.parse::<AnyAlgorithm>().unwrap_err().to_string();
        assert!(message("adam").contains("unknown algorithm `adam`; "));
        assert!(message("ef-sgd:momentum=1.5").contains("momentum = 1.5 is outside [0, 1)"));
        assert!(message("ef-sgd:beta=0.9").contains("unknown option of `ef-sgd` `beta`; "));
        assert!(message("ef-sgd:nesterov").contains("momentum"));
    }
}
