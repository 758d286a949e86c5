//! The tables, and how a ledger of an earlier form becomes one of this form.

use rusqlite::Connection;

use crate::error::LedgerError;

/// The steps from each form to the next. The form of a ledger is its `user_version`: the number of steps that it has had.
const STEPS: [&str; 7] = [CREATE, INSTRUCTIONS, COUNTS, QUEUE, AGES, GROUPS, ALLOWED];

const CREATE: &str = "
    CREATE TABLE run (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        push TEXT NOT NULL UNIQUE,          -- its identity, 32 hexadecimal digits
        client_run TEXT,                    -- what its hosts know it by, the same way
        parent INTEGER,                     -- the run that this one goes on with, or repeats
        next INTEGER,                       -- the run that goes on with this one, whose process was killed
        operation TEXT NOT NULL,            -- as it was typed, with packages and options
        request TEXT NOT NULL,              -- what it asks for, as clients are asked, without the run's options
        target TEXT NOT NULL,
        by TEXT NOT NULL,
        owner TEXT NOT NULL,                -- the process that works on it
        begun INTEGER NOT NULL,             -- all times are milliseconds since 1970
        ended INTEGER,
        status INTEGER,                     -- the exit status
        work BLOB                           -- what was approved, JSON in zstd
    ) STRICT;
    CREATE TABLE attempt (
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        turn INTEGER NOT NULL,              -- its place among the hosts of the run
        host TEXT NOT NULL,
        started INTEGER,                    -- when it was about to be asked to do it
        ended INTEGER,
        outcome TEXT,
        seconds REAL,
        event INTEGER,                      -- the event with how it ended
        PRIMARY KEY (run, turn)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX attempt_of_run ON attempt(run, host);
    CREATE INDEX attempt_of_host ON attempt(host, run);
    CREATE TRIGGER one_outcome BEFORE UPDATE OF outcome ON attempt WHEN OLD.outcome IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'a host ends once in a run'); END;
    CREATE TABLE event (
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        body TEXT NOT NULL,                 -- JSON, as apu-events(7) has it
        PRIMARY KEY (run, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE output (
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        part INTEGER NOT NULL,
        text BLOB NOT NULL,                 -- what the host printed, as it is, in zstd
        PRIMARY KEY (run, turn, part)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE lease (
        host TEXT PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        since INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE abort (
        run INTEGER PRIMARY KEY REFERENCES run(number) ON DELETE CASCADE,
        by TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
";

/// An abort becomes one of several instructions, and a run may be paused.
const INSTRUCTIONS: &str = "
    CREATE TABLE instruction (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        what TEXT NOT NULL,                 -- stop, pause, resume or promote
        wave INTEGER,                       -- the wave that is promoted, counted from 1
        by TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX instruction_of_run ON instruction(run, number);
    INSERT INTO instruction (run, what, by, at) SELECT run, 'stop', by, at FROM abort;
    DROP TABLE abort;
    -- The wave, counted from 1, about which an administrator has to decide; 0 where one wanted the pause.
    ALTER TABLE run ADD COLUMN paused INTEGER;
";

/// The hosts of many runs are counted without a look at any of them.
const COUNTS: &str = "CREATE INDEX attempt_by_outcome ON attempt(run, outcome);";

/// Hosts wait for another turn of a run.
const QUEUE: &str = "
    CREATE TABLE queue (
        host TEXT NOT NULL,
        run INTEGER NOT NULL REFERENCES run(number) ON DELETE CASCADE,
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        why TEXT NOT NULL,                  -- unreachable, held or window
        trial BLOB,                         -- what it was approved to do, JSON in zstd
        PRIMARY KEY (run, host)
    ) STRICT, WITHOUT ROWID;
";

/// When each .deb was first seen, and which age a run asked for.
const AGES: &str = "
    CREATE TABLE deb (
        sha256 TEXT PRIMARY KEY,            -- 64 hexadecimal digits
        first INTEGER NOT NULL              -- when a plan first showed it
    ) STRICT, WITHOUT ROWID;
    -- In seconds, where the command line has it.
    ALTER TABLE run ADD COLUMN min_age INTEGER;
";

/// The hosts of an exclusive group change one after the other, whichever runs they are in.
const GROUPS: &str = "
    -- The exclusive group of the host, where the run changes something.
    ALTER TABLE lease ADD COLUMN exclusive TEXT;
    CREATE INDEX lease_of_group ON lease(exclusive) WHERE exclusive IS NOT NULL;
";

/// Which protected services a run may restart.
const ALLOWED: &str = "
    -- The patterns of --allow-restart, with spaces between them.
    ALTER TABLE run ADD COLUMN allow_restart TEXT NOT NULL DEFAULT '';
";

/// Brings a ledger to the latest form.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    // Nothing to do is the rule: then no other program is waited for.
    if form(connection)? == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = form(&transaction)?;
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    for (step, sql) in (1..).zip(STEPS) {
        if step > found {
            transaction.execute_batch(sql)?;
        }
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

fn form(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use apu_fleet::Outcome;

    use super::*;
    use crate::counts::COUNT;
    use crate::ledger::Ledger;
    use crate::run::RunNumber;

    const RUN: &str = "INSERT INTO run (push, operation, request, target, by, owner, begun) VALUES ('00', '', '', '', '', '', 0)";

    #[test]
    fn a_ledger_of_a_later_form_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            migrate(&mut connection),
            Err(LedgerError::Newer { found: 99, known: 7 })
        ));
    }

    #[test]
    fn a_ledger_of_the_first_form_becomes_one_of_the_latest_with_all_that_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(CREATE).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute(RUN, []).unwrap();
        let attempts = "INSERT INTO attempt (run, turn, host, outcome) \
             VALUES (1, 0, 'web1', 'failed'), (1, 1, 'web2', 'changed'), (1, 2, 'web3', NULL), (1, 3, 'web4', 'changed')";
        connection.execute(attempts, []).unwrap();
        connection
            .execute("INSERT INTO abort (run, by, at) VALUES (1, 'bob', 7)", [])
            .unwrap();
        connection
            .execute("INSERT INTO lease (host, run, since) VALUES ('web3', 1, 0)", [])
            .unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(form(&connection).unwrap(), 7);
        let ages = "SELECT count(*) FROM run LEFT JOIN deb WHERE min_age IS NULL AND sha256 IS NULL AND allow_restart = ''";
        assert_eq!(
            connection
                .query_row(ages, [], |row| row.get::<_, i64>(0))
                .unwrap(),
            1
        );
        let lease = "SELECT host FROM lease WHERE exclusive IS NULL";
        let lease: String = connection.query_row(lease, [], |row| row.get(0)).unwrap();
        assert_eq!(lease, "web3");
        let told = "SELECT what || ' ' || told.by || ' ' || told.at FROM instruction AS told JOIN run ON run = run.number WHERE paused IS NULL";
        let told: String = connection.query_row(told, [], |row| row.get(0)).unwrap();
        assert_eq!(told, "stop bob 7");
        let ledger = Ledger { connection };
        let outcomes = ledger.outcomes(RunNumber(1)).unwrap();
        let expected = [(None, 1), (Some(Outcome::Changed), 2), (Some(Outcome::Failed), 1)];
        assert_eq!(outcomes, expected.into());
        let plan: String = ledger
            .connection
            .query_row(&format!("EXPLAIN QUERY PLAN {COUNT}"), [1], |row| row.get(3))
            .unwrap();
        assert!(plan.contains("COVERING INDEX attempt_by_outcome"), "{plan}");
    }

    #[test]
    fn a_host_ends_once_in_a_run() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.execute(RUN, []).unwrap();
        connection
            .execute("INSERT INTO attempt (run, turn, host) VALUES (1, 0, 'web1')", [])
            .unwrap();
        let end = "UPDATE attempt SET outcome = 'changed'";
        assert_eq!(connection.execute(end, []).unwrap(), 1);
        assert!(connection.execute(end, []).is_err());
    }
}
