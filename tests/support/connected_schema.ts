/**
 * A schema in which everything needs something elsewhere: what is read in parts must come together again.
 *
 * @module
 */

/** Sixty tables in three schemas that need each other in every way, also in circles. */
export const CONNECTED_SCHEMA = `
  create schema one; create schema two; create schema three;
  do $$ declare s text; begin for i in 1..60 loop
    s := (array['one', 'two', 'three'])[i % 3 + 1];
    execute format('create table %I.t%s (id int generated always as identity primary key, other int,
        number serial, note text default ''x'' constraint c%2$s check (length(note) < 100))', s, i);
    execute format('create index on %I.t%s (other)', s, i);
    execute format('comment on column %I.t%s.note is ''a note''', s, i);
    execute format('comment on constraint c%2$s on %1$I.t%2$s is ''short''', s, i);
    execute format('grant select (note) on %I.t%s to public', s, i);
  end loop; end $$;
  alter table one.t3 add foreign key (other) references two.t4;
  alter table two.t4 add foreign key (other) references three.t5;
  alter table three.t5 add foreign key (other) references one.t3;
  create table one.base (more text);
  create table one.child (most int) inherits (two.t1, one.base);
  create table three.parted (a int, b one.t9) partition by list (a);
  create table one.low partition of three.parted for values in (1, 2);
  create index on three.parted (a);
  create function two.next_day() returns int language sql as 'select 2';
  create table two.days (day int not null, n int default two.next_day(), check (n > 0),
    primary key (day)) partition by range (day);
  do $$ begin for i in 1..14 loop
    execute format('create table %I.day%s partition of two.days for values from (%2$s) to (%3$s) %s',
      (array['one', 'two', 'three'])[i % 3 + 1], i, i + 1,
      case when i % 10 = 0 then 'partition by range (day)' else '' end);
  end loop; end $$;
  create table one.part_of_day partition of two.day10 default;
  create index on two.days (n);
  create table three.of_day (day int references two.days);
  comment on index three.day2_n_idx is 'an index of a partition';
  create view one.v1 as select note from two.t10;
  create view two.v2 as select v1.note, t11 as whole from one.v1, three.t11;
  create view three.first as select 1 as a; create view one.second as select a from three.first;
  create or replace view three.first as select a from one.second where a > 1;
  create materialized view two.m1 as select * from two.v2;
  create materialized view one.m2 as select note from two.m1;
  create function one.of_row(three.t14) returns text language sql as 'select $1.note';
  create function two.next() returns int language sql as 'select 1';
  alter table two.t16 alter other set default two.next();
  create function three.checked(int) returns bool language plpgsql as 'begin return $1 > 0; end';
  create table one.circle (id int);
  create function two.count_circle(one.circle) returns int language sql immutable as 'select 1';
  alter table one.circle add constraint known check (two.count_circle(circle) > 0),
    add n int default 3;
  create domain three.short as text check (length(value) < 9);
  create table two.uses (s three.short, check (three.checked(length(s))));
  create rule r as on insert to two.uses do also select 1;
  create policy p on two.uses using (exists (select from one.v1));
  alter table two.uses enable row level security;
  create publication pub for table one.t3, two.uses;
  do $$ begin for i in 1..70 loop
    execute format('create function three.f%s(a int default two.next()) returns int language sql as
        ''select a + %1$s''', i);
    execute format('comment on function three.f%s(int) is ''a function''', i);
    execute format('revoke all on function three.f%s(int) from public', i);
  end loop; end $$;
  alter table two.t19 alter other set default three.f70(1);
  create function one.touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger counted after insert on two.days for each row execute function one.touch();
  alter table three.day2 disable trigger counted;
  create trigger touched before update on two.uses for each row execute function one.touch();
  create statistics three.st on id, other from one.t3;`;
