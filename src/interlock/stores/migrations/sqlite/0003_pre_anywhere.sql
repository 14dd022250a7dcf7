-- What is due first in any partition: a worker for all of them looks at none in which nothing is due.

CREATE INDEX activation_anywhere ON activation (kind, open_ms, partition) WHERE open_ms IS NOT NULL;

CREATE INDEX timer_anywhere ON timer (due_ms, partition);
