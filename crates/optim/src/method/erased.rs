//! Any algorithm behind one pointer: the states' types are erased here and nowhere else.

use std::any::Any;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use backburn_compress::{AnyCompressor, Compressor, Layout, Message, Vector};

use crate::method::{
    Algorithm, Argument, Ask, Conserves, Cx, Decision, Inbox, Next, NotTaken, Parent, Seen, State, Takes, Visitor, Why,
};

/// A state whose type only its algorithm knows.
pub(crate) struct Slot(Box<dyn DynState>);

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl Slot {
    fn new(state: impl State) -> Self {
        Self(Box::new(state))
    }

    pub(crate) fn visit(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.0.visit_dyn(visitor, layout);
    }

    fn get<T: State>(&self) -> &T {
        self.0.any().downcast_ref().expect("a state belongs to the algorithm that made it")
    }

    fn get_mut<T: State>(&mut self) -> &mut T {
        self.0.any_mut().downcast_mut().expect("a state belongs to the algorithm that made it")
    }
}

trait DynState: Send + Sync {
    fn visit_dyn(&mut self, visitor: &mut dyn Visitor, layout: &Layout);
    fn duplicate(&self) -> Box<dyn DynState>;
    fn any(&self) -> &dyn Any;
    fn any_mut(&mut self) -> &mut dyn Any;
}

impl<S: State> DynState for S {
    fn visit_dyn(&mut self, visitor: &mut dyn Visitor, layout: &Layout) {
        self.visit(visitor, layout);
    }

    fn duplicate(&self) -> Box<dyn DynState> {
        Box::new(self.clone())
    }

    fn any(&self) -> &dyn Any {
        self
    }

    fn any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// [`Algorithm`] without its associated types.
pub(crate) trait Erased: Debug + Display + Send + Sync {
    fn take(&self, compressor: AnyCompressor) -> Result<Arc<dyn Compressor>, NotTaken>;
    fn new_local(&self, cx: &Cx<'_>) -> Slot;
    fn new_shared(&self, cx: &Cx<'_>) -> Slot;
    fn peers(&self, rank: usize, n: usize) -> Vec<usize>;
    fn is_gossip(&self) -> bool;
    fn speaks_by_unit(&self) -> bool;
    fn hears_mean(&self) -> bool;
    fn needs_x(&self) -> bool;
    fn asks_elsewhere(&self) -> bool;
    fn leaves_step_open(&self) -> bool;
    fn compresses_itself(&self) -> bool;
    fn is_divisible(&self) -> bool;
    fn conserves(&self) -> Result<Conserves, Why>;
    fn parent(&self) -> Result<Parent, Why>;
    fn arguments(&self) -> Vec<Argument>;
    fn warning(&self, cx: &Cx<'_>) -> Option<String>;
    fn ask(&self, local: &Slot, shared: &Slot, said: &[Message], cx: &Cx<'_>) -> Vec<Ask>;
    fn begin(&self, local: &mut Slot, shared: &Slot, seen: Seen, cx: &Cx<'_>) -> Message;
    fn reduce(&self, shared: &Slot, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next;
    fn answer(&self, local: &mut Slot, shared: &Slot, seen: Seen, said: &[Message], cx: &Cx<'_>) -> Message;
    fn commit(&self, local: &mut Slot, shared: &Slot, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector>;
    fn advance(&self, s: &mut Slot, said: &[Message], inbox: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>);
}

impl<A: Algorithm> Erased for A {
    fn take(&self, compressor: AnyCompressor) -> Result<Arc<dyn Compressor>, NotTaken> {
        self.adopt(A::Takes::parsed(compressor)?.compressor())
    }

    fn new_local(&self, cx: &Cx<'_>) -> Slot {
        Slot::new(self.local(cx))
    }

    fn new_shared(&self, cx: &Cx<'_>) -> Slot {
        Slot::new(self.shared(cx))
    }

    fn peers(&self, rank: usize, n: usize) -> Vec<usize> {
        Algorithm::peers(self, rank, n)
    }

    fn is_gossip(&self) -> bool {
        Algorithm::is_gossip(self)
    }

    fn speaks_by_unit(&self) -> bool {
        Algorithm::speaks_by_unit(self)
    }

    fn hears_mean(&self) -> bool {
        Algorithm::hears_mean(self)
    }

    fn needs_x(&self) -> bool {
        Algorithm::needs_x(self)
    }

    fn asks_elsewhere(&self) -> bool {
        Algorithm::asks_elsewhere(self)
    }

    fn leaves_step_open(&self) -> bool {
        Algorithm::leaves_step_open(self)
    }

    fn compresses_itself(&self) -> bool {
        Algorithm::compresses_itself(self)
    }

    fn is_divisible(&self) -> bool {
        Algorithm::is_divisible(self)
    }

    fn conserves(&self) -> Result<Conserves, Why> {
        Algorithm::conserves(self)
    }

    fn parent(&self) -> Result<Parent, Why> {
        Algorithm::parent(self)
    }

    fn arguments(&self) -> Vec<Argument> {
        Algorithm::arguments(self)
    }

    fn warning(&self, cx: &Cx<'_>) -> Option<String> {
        Algorithm::warning(self, cx)
    }

    fn ask(&self, local: &Slot, shared: &Slot, said: &[Message], cx: &Cx<'_>) -> Vec<Ask> {
        Algorithm::ask(self, local.get(), shared.get(), said, cx)
    }

    fn begin(&self, local: &mut Slot, shared: &Slot, seen: Seen, cx: &Cx<'_>) -> Message {
        Algorithm::begin(self, local.get_mut(), shared.get(), seen, cx)
    }

    fn reduce(&self, shared: &Slot, said: &[Message], inbox: Inbox<'_>, cx: &Cx<'_>) -> Next {
        Algorithm::reduce(self, shared.get(), said, inbox, cx)
    }

    fn answer(&self, local: &mut Slot, shared: &Slot, seen: Seen, said: &[Message], cx: &Cx<'_>) -> Message {
        Algorithm::answer(self, local.get_mut(), shared.get(), seen, said, cx)
    }

    fn commit(&self, local: &mut Slot, shared: &Slot, decided: Option<&Decision>, cx: &Cx<'_>) -> Option<Vector> {
        Algorithm::commit(self, local.get_mut(), shared.get(), decided, cx)
    }

    fn advance(&self, s: &mut Slot, said: &[Message], inbox: Inbox<'_>, decided: &mut Decision, cx: &Cx<'_>) {
        Algorithm::advance(self, s.get_mut(), said, inbox, decided, cx);
    }
}
