//! Where an operation is, and what its document says of it besides its input and output.

/// Methods of HTTP that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head of what GET would give.
    Head,
    /// Does something.
    Post,
    /// Puts something in a place.
    Put,
    /// Changes parts of something.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// `GET`.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// The family of clients that a route answers: how errors look, which vendor strings are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Databricks' REST: `{error_code, message, details}`.
    Databricks,
    /// Unity Catalog's, open source and Databricks: the same, with `stack_trace` for old clients.
    Unity,
    /// MLflow's REST: `{error_code, message}`, numbers and texts for each other, JSON in several layers.
    Mlflow,
    /// SCIM 2.0: `{schemas, detail, status, scimType}`.
    Scim,
    /// OAuth 2.0: `{error, error_description}`.
    OAuth,
    /// Pages for people.
    Html,
}

/// How a request's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none; what is asked stands in the path and the query.
    None,
    /// A JSON object, joined with what stands in the path and the query.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Bytes that the route reads itself, after the permit: [`Cx::body`].
    Stream,
}

/// Where a route is.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// `/api/2.1/unity-catalog/tables/{full_name}`; `{*path}` takes the rest, slashes included.
    pub path: &'static str,
    /// Further places of the same operation: old versions and aliases.
    pub also: &'static [&'static str],
    /// Whose clients it answers.
    pub dialect: Dialect,
    /// How the body is read.
    pub body: Body,
    /// The largest JSON or form body in bytes, where it is not the usual one: 1 MiB, or 64 KiB where anybody may call.
    pub body_limit: Option<usize>,
    /// Answered when the disk is full too.
    pub on_full_disk: bool,
    /// One sentence for the list of routes and for OpenAPI.
    pub about: &'static str,
    /// The answers that are no failures, where they are not the one that the output stands for.
    pub answers: &'static [Answer],
    /// Headers that it reads besides those of HTTP and browsers ([`Cx::header`]).
    pub headers: &'static [Header],
}

/// A header that a request may bring and that changes what a route answers.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// `If-Unmodified-Since`, as documents write it.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// A value that works with the route's example.
    pub example: &'static str,
    /// The values that it may have; empty for any text.
    pub values: &'static [&'static str],
}

/// An answer that is no failure in the protocol's words, for the OpenAPI document.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// 200 and the like.
    pub status: u16,
    /// The media type of its body; none for no body.
    pub media: Option<&'static str>,
    /// When it is given.
    pub about: &'static str,
}

impl Answer {
    /// With a body.
    pub const fn of(status: u16, media: &'static str, about: &'static str) -> Self {
        Answer { status, media: Some(media), about }
    }

    /// Without a body.
    pub const fn bare(status: u16, about: &'static str) -> Self {
        Answer { status, media: None, about }
    }
}

impl Route {
    /// A route whose input stands in path and query, or for POST, PUT and PATCH in a JSON body.
    pub const fn new(method: Method, path: &'static str, dialect: Dialect, about: &'static str) -> Self {
        let body = match method {
            Method::Post | Method::Put | Method::Patch => Body::Json,
            Method::Get | Method::Head | Method::Delete => Body::None,
        };
        let on_full_disk = matches!(method, Method::Get | Method::Head | Method::Delete);
        Route {
            method,
            path,
            also: &[],
            dialect,
            body,
            body_limit: None,
            on_full_disk,
            about,
            answers: &[],
            headers: &[],
        }
    }

    /// The same operation at further paths.
    pub const fn also(mut self, paths: &'static [&'static str]) -> Self {
        self.also = paths;
        self
    }

    /// Answered when the disk is full too: it only reads, frees space, or asks [`Cx::writable`] itself. GET, HEAD and DELETE are.
    pub const fn on_full_disk(mut self) -> Self {
        self.on_full_disk = true;
        self
    }

    /// With these answers in the place of the output's own one.
    pub const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    /// With these headers of the request: no others are seen by it.
    pub const fn headers(mut self, headers: &'static [Header]) -> Self {
        self.headers = headers;
        self
    }

    /// With a larger JSON or form body, in bytes: it is in memory, as a whole, for as long as the request runs.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// With another way to read the body.
    pub const fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}
