-- A document number is drawn when a person approves; one that is brought along moves its series on, so that the
-- next drawn one is free. The series' row stays locked until the transaction ends: numbers have no gaps.
create or replace function crm.draw_number() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $f$
declare digits text;
begin
  if session_user <> 'crm_approver' then return new; end if;
  if new.number is null then
    insert into crm.number_series(org_id, kind, prefix, next) values (new.org_id, tg_argv[0], tg_argv[1], 2)
      on conflict (org_id, kind) do update set next = number_series.next + 1
      returning prefix || to_char(next - 1, 'FM00000') into new.number;
  elsif starts_with(new.number, tg_argv[1]) then
    digits := substr(new.number, length(tg_argv[1]) + 1);
    if digits ~ '^[0-9]{1,15}$' then
      insert into crm.number_series(org_id, kind, prefix, next) values (new.org_id, tg_argv[0], tg_argv[1], digits::bigint + 1)
        on conflict (org_id, kind) do update set next = greatest(number_series.next, excluded.next);
    end if;
  end if;
  return new;
end $f$;
