//! What a route must be granted before it runs, as a type.
//!
//! One action, two, an optional one, one of two, many, a list, any of several kinds, or nothing at all.

use std::future::Future;
use std::marker::PhantomData;

use crannog_types::Result;

use crate::actions::Action;
use crate::caller::Caller;
use crate::permit::{Permit, Visible};
use crate::securables::{Kind, NameOf, ScopeOf, Securable};

/// What a route asks for: names in, permits out.
pub trait Asks: Send + 'static {
    /// What the request is about, read from its head and body.
    type Names: Send;
    /// What the route then holds.
    type Permits: Send + 'static;

    /// Asks for all of it; the first no ends it.
    fn ask(caller: &Caller, names: Self::Names) -> impl Future<Output = Result<Self::Permits>> + Send;

    /// The actions' names, for the list of routes.
    fn actions() -> Vec<&'static str>;

    /// The kinds of objects, for the generated tests.
    fn kinds() -> Vec<Kind>;
}

impl<A: Action> Asks for A {
    type Names = NameOf<A>;
    type Permits = Permit<A>;

    async fn ask(caller: &Caller, name: NameOf<A>) -> Result<Permit<A>> {
        caller.ask(name).await
    }

    fn actions() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn kinds() -> Vec<Kind> {
        vec![A::On::KIND]
    }
}

impl<A: Action, B: Action> Asks for (A, B) {
    type Names = (NameOf<A>, NameOf<B>);
    type Permits = (Permit<A>, Permit<B>);

    async fn ask(caller: &Caller, (a, b): Self::Names) -> Result<Self::Permits> {
        Ok((caller.ask(a).await?, caller.ask(b).await?))
    }

    fn actions() -> Vec<&'static str> {
        vec![A::NAME, B::NAME]
    }

    fn kinds() -> Vec<Kind> {
        vec![A::On::KIND, B::On::KIND]
    }
}

impl<A: Action> Asks for Option<A> {
    type Names = Option<NameOf<A>>;
    type Permits = Option<Permit<A>>;

    async fn ask(caller: &Caller, name: Self::Names) -> Result<Self::Permits> {
        Ok(match name {
            Some(name) => Some(caller.ask(name).await?),
            None => None,
        })
    }

    fn actions() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn kinds() -> Vec<Kind> {
        vec![A::On::KIND]
    }
}

impl<A: Action> Asks for Vec<A> {
    type Names = Vec<NameOf<A>>;
    type Permits = Vec<Permit<A>>;

    async fn ask(caller: &Caller, names: Self::Names) -> Result<Self::Permits> {
        let mut permits = Vec::with_capacity(names.len());
        for name in names {
            permits.push(caller.ask(name).await?);
        }
        Ok(permits)
    }

    fn actions() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn kinds() -> Vec<Kind> {
        vec![A::On::KIND]
    }
}

/// One or the other, as the body decides.
#[derive(Debug)]
pub enum Either<L, R> {
    /// The first.
    Left(L),
    /// The second.
    Right(R),
}

impl<L: Asks, R: Asks> Asks for Either<L, R> {
    type Names = Either<L::Names, R::Names>;
    type Permits = Either<L::Permits, R::Permits>;

    async fn ask(caller: &Caller, names: Self::Names) -> Result<Self::Permits> {
        Ok(match names {
            Either::Left(names) => Either::Left(L::ask(caller, names).await?),
            Either::Right(names) => Either::Right(R::ask(caller, names).await?),
        })
    }

    fn actions() -> Vec<&'static str> {
        [L::actions(), R::actions()].concat()
    }

    fn kinds() -> Vec<Kind> {
        [L::kinds(), R::kinds()].concat()
    }
}

/// The objects of the action's kind in a container, as far as the caller may see them.
#[derive(Debug)]
pub struct List<A>(PhantomData<fn() -> A>);

impl<A: Action> Asks for List<A> {
    type Names = ScopeOf<A>;
    type Permits = Visible<A>;

    async fn ask(caller: &Caller, scope: ScopeOf<A>) -> Result<Visible<A>> {
        caller.visible(scope).await
    }

    fn actions() -> Vec<&'static str> {
        vec![A::NAME]
    }

    fn kinds() -> Vec<Kind> {
        A::On::KIND.parent().into_iter().collect()
    }
}

/// An action on an object whose kind only the request knows, as in `/permissions/{type}/{name}`.
pub type AnyOf<A> = A;

/// Nothing: the route is open to everybody. The list of such routes is a committed file.
#[derive(Debug)]
pub struct Public;

impl Asks for Public {
    type Names = ();
    type Permits = ();

    async fn ask(_: &Caller, (): ()) -> Result<()> {
        Ok(())
    }

    fn actions() -> Vec<&'static str> {
        Vec::new()
    }

    fn kinds() -> Vec<Kind> {
        Vec::new()
    }
}
