//! E0423
use crannog_security::{System, Task};

pub fn forge() -> System {
    System(Task::Bootstrap)
}
