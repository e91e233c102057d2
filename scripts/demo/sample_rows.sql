-- About 430 000 rows, the same in every run.

insert into auth.users (id, email, raw_user_meta_data, created_at, email_confirmed_at, phone)
select md5('user' || i)::uuid, 'user' || i || '@example.org', jsonb_build_object('name', 'Person ' || i, 'n', i),
    timestamptz '2024-01-01' + i * interval '7 minutes', timestamptz '2024-01-02', '+49' || i
from generate_series(1, 20000) i;
insert into auth.identities (id, provider_id, user_id, identity_data, provider)
select md5('identity' || i)::uuid, i::text, md5('user' || i)::uuid, jsonb_build_object('sub', i), 'email' from generate_series(1, 20000) i;

update shop.customers set
    home = row('Street ' || id, case when id % 3 = 0 then 'Köln' else E'New\nTown' end, lpad(id::text, 5, '0'))::shop.address,
    tags = case when id % 4 = 0 then array['vip', 'with,comma', 'with "quote"', null] else '{}' end,
    preferences = jsonb_build_object('theme', case id % 2 when 0 then 'dark' else 'light' end, 'big', id * 12345678901),
    score = case when id % 10 = 0 then 'NaN'::double precision when id % 11 = 0 then 'Infinity' else id / 7.0 end,
    active_during = tstzrange(timestamptz '2024-01-01' + id * interval '1 hour', null),
    created_at = timestamptz '2024-01-01' + id * interval '11 minutes';

insert into public.profiles (id, nickname, bio)
select md5('user' || i)::uuid, 'nick' || i, case when i % 5 = 0 then null else repeat('about ' || i || E'\t\\ ', i % 40) end from generate_series(1, 20000) i;

insert into shop.products (sku, name, price, discount_bounds, description, picture, weight_grams)
select 'SKU-' || i, 'Product ' || i, (i % 997) + 0.95, shop.price_range(i % 50, 50 + i % 50),
    repeat('A long description of product ' || i || '. ', 20), decode(repeat(md5(i::text), 64), 'hex'), 1 + i % 5000
from generate_series(1, 2000) i;

insert into shop.orders (id, customer_id, state, ordered_on, total, note)
select i, 1 + i % 20000, (enum_range(null::shop.order_state))[1 + i % 5], date '2023-10-01' + (i % 820),
    (i % 10007) / 10.0, case when i % 9 = 0 then E'line one\nline two \\.' end
from generate_series(1, 100000) i;
insert into shop.order_items (order_id, ordered_on, line, product_id, quantity, price)
select i, date '2023-10-01' + (i % 820), line, 10 + 2 * ((i * 31 + line) % 2000), 1 + i % 4, (i % 313) / 3.0
from generate_series(1, 100000) i, generate_series(1, 2) line;
-- After the rows: one join checks them all, where a check of each row takes half a minute.
alter table shop.order_items add constraint order_items_order_fk
    foreign key (order_id, ordered_on) references shop.orders (id, ordered_on) on delete cascade;
insert into shop.bookings values (1, '[2025-01-01,2025-01-02)'), (2, '[2025-01-01,2025-01-05)'), (1, '[2025-01-02,2025-01-03)');
insert into shop.events select timestamptz '2025-01-01' + i * interval '1 second', 'visit' from generate_series(1, 1000) i;
insert into shop.login_events select timestamptz '2025-02-01' + i * interval '1 second', 'login', ('10.0.0.' || i % 250)::inet, 'agent' from generate_series(1, 1000) i;
insert into shop.basket select 'session' || i, jsonb_build_object('items', i) from generate_series(1, 100) i;
insert into shop."odd ""name"" – ü" select i, E'back\\slash and \t tab ' || i, jsonb_build_object('a.b', i) from generate_series(1, 500) i;
insert into "Daily Reports"."2025" values (repeat('Lorem ipsum dolor sit amet. ', 200000), '<report><line n="1"/></report>'), (null, null);

insert into public.articles (id, author, title, body, published)
select md5('article' || i)::uuid, md5('user' || (1 + i % 20000))::uuid, 'Article ' || i, repeat('Word' || i % 777 || ' and some text for searching. ', 5 + i % 30), i % 2 = 0
from generate_series(1, 10000) i;
insert into public.messages (room, body, sent_at)
select 'room' || i % 50, 'Message ' || i || case when i % 100 = 0 then ' 😀 ünïcode' else '' end, timestamptz '2025-01-01' + i * interval '3 seconds' from generate_series(1, 30000) i;

insert into storage.buckets (id, name, public) values ('avatars', 'avatars', false), ('public', 'public', true);
insert into storage.objects (id, bucket_id, name, owner, metadata)
select md5('object' || i)::uuid, 'avatars', md5('user' || i) || '/face' || i || '.png', md5('user' || i)::uuid, jsonb_build_object('size', i) from generate_series(1, 5000) i;

select nextval('shop.invoice_number') from generate_series(1, 5);
select lo_from_bytea(40001, decode(repeat('00ff10', 5000), 'hex'));
refresh materialized view shop.revenue_by_month;
refresh materialized view shop.best_month;
analyze;
