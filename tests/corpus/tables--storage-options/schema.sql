CREATE TABLE tuned (a int, b text) WITH (fillfactor=70, autovacuum_enabled=false, toast.autovacuum_vacuum_scale_factor=0.3, parallel_workers=3);
