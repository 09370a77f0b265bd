//! Searches on SQLite that end: after a minute, and when nobody waits for them any more.
//!
//! PostgreSQL ends a statement by itself. SQLite runs one to its end on the thread of its connection, whoever has gone away
//! meanwhile, unless a handler that it calls after so many steps says stop. The handler goes before the connection is given back,
//! or it would end what others read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use crate::StoreError;
use crate::db::Clock;

/// As `statement_timeout` on PostgreSQL, in seconds.
const AT_MOST: i64 = 60;

/// Steps of SQLite's machine between two looks at the clock: far less than a millisecond.
const STEPS: i32 = 10_000;

/// A connection whose statements end.
pub(crate) struct Bounded {
    connection: Option<PoolConnection<Sqlite>>,
    wanted: Arc<AtomicBool>,
}

impl Bounded {
    pub(crate) async fn on(readers: &SqlitePool, clock: Clock) -> Result<Self, StoreError> {
        let wanted = Arc::new(AtomicBool::new(true));
        let mut bounded = Bounded { connection: Some(readers.acquire().await?), wanted: Arc::clone(&wanted) };
        let end = clock().plus_seconds(AT_MOST);
        let mut handle = bounded.connection()?.lock_handle().await?;
        handle.set_progress_handler(STEPS, move || wanted.load(Ordering::Relaxed) && clock() < end);
        drop(handle);
        Ok(bounded)
    }

    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let over = || StoreError::NotCommitted("the connection was given back".to_owned());
        Ok(&mut *self.connection.as_mut().ok_or_else(over)?)
    }

    /// Gives the connection back.
    pub(crate) async fn finish(mut self) -> Result<(), StoreError> {
        self.connection()?.lock_handle().await?.remove_progress_handler();
        self.connection = None;
        Ok(())
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return connection.close_on_drop() };
        runtime.spawn(async move {
            // Waits until the statement was stopped.
            let stopped = connection.lock_handle().await.map(|mut handle| handle.remove_progress_handler()).is_ok();
            if !stopped {
                connection.close_on_drop();
            }
        });
    }
}
