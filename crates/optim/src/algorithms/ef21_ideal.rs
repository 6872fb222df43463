use std::fmt;

use backburn_compress::{Feedback, Memo, Message, ParameterError, decode_into, mean};

use super::compressed_sgd::Local;
use super::ef21::check_eta;
use super::{Entry, Momentum, dense};
use crate::spec::write_form;
use crate::{Algorithm, AnyAlgorithm, Ask, Buf, Cx, Decision, Inbox, Move, Next, Seen};

/// What EF21 would be if the trackers h_i were the exact gradients ∇f_i(x) (Fatkhullin, Tyurin,
/// Richtárik 2023): EF21-SGD-ideal, g_i = ∇f_i(x) + C(∇f_i(x; ξ) − ∇f_i(x)), and with damped noise
/// EF21-SGDM-ideal, g_i = ∇f_i(x) + C(η(∇f_i(x; ξ) − ∇f_i(x))); x ← x − γ·mean g_i.
///
/// For theory: it asks for exact gradients, which only some problems offer, and since nobody else
/// knows them a message is the dense g_i.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ef21Ideal {
    /// η ∈ (0, 1]; without it EF21-SGD-ideal.
    eta: Option<f64>,
}

pub(super) const SGD: Entry = Entry {
    name: "ef21-sgd-ideal",
    usage: "ef21-sgd-ideal",
    about: "EF21-SGD around the exact gradient, for problems that offer it; diverges (Theorem 1)",
    examples: &["ef21-sgd-ideal"],
    parse: |_| Ok(AnyAlgorithm::new(Ef21Ideal::sgd())),
};

pub(super) const SGDM: Entry = Entry {
    name: "ef21-sgdm-ideal",
    usage: "ef21-sgdm-ideal:eta=η",
    about: "the same with the noise damped by η",
    examples: &["ef21-sgdm-ideal:eta=0.1"],
    parse: |args| Ok(AnyAlgorithm::new(Ef21Ideal::sgdm(args.required("eta")?)?)),
};

impl Ef21Ideal {
    /// EF21-SGD-ideal.
    pub fn sgd() -> Self {
        Self { eta: None }
    }

    /// EF21-SGDM-ideal with η ∈ (0, 1].
    pub fn sgdm(eta: f64) -> Result<Self, ParameterError> {
        Ok(Self { eta: Some(check_eta(eta)?) })
    }
}

impl fmt::Display for Ef21Ideal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.eta {
            None => f.write_str("ef21-sgd-ideal"),
            Some(eta) => write_form(f, "ef21-sgdm-ideal", &[("eta", eta.to_string())]),
        }
    }
}

impl Algorithm for Ef21Ideal {
    type Takes = Feedback;
    type Local = Local;
    type Shared = ();

    fn local(&self, cx: &Cx<'_>) -> Local {
        Local { momentum: Momentum::default(), memos: vec![Memo::default(); cx.layout.units().len()] }
    }

    fn shared(&self, _: &Cx<'_>) {}

    fn asks_elsewhere(&self) -> bool {
        true
    }

    fn leaves_step_open(&self) -> bool {
        true
    }

    fn ask(&self, _: &Local, _: &(), _: &[Message], _: &Cx<'_>) -> Vec<Ask> {
        vec![Ask::GRADIENT, Ask::Gradient { at: None, batches: 0 }]
    }

    fn begin(&self, local: &mut Local, _: &(), mut seen: Seen, cx: &Cx<'_>) -> Message {
        let mut exact = std::mem::take(&mut seen.gradients[1]);
        let mut noise = seen.take();
        let eta = self.eta.unwrap_or(1.0) as f32;
        noise.iter_mut().zip(&exact).for_each(|(g, exact)| *g = eta * (*g - exact));
        let c = cx.compress(&noise, &mut local.memos);
        decode_into(&c, 1.0, &mut exact, cx.layout);
        dense(&exact, cx.layout)
    }

    fn reduce(&self, _: &(), _: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Move::Direction(mean(inbox, cx.layout)).into()
    }

    fn commit(&self, _: &mut Local, _: &(), _: Option<&Decision>, _: &Cx<'_>) -> Option<Buf> {
        None
    }
}
