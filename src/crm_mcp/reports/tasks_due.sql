-- title: Tasks due
-- description: Open tasks by person: overdue, due today, soon and later.
-- roles: admin, sales, operations, finance, support
-- param: days integer = 7 | How many days after today are soon.
-- column: person text | Whose they are; (nobody) where nobody is named.
-- column: open integer total | Open tasks.
-- column: overdue integer total | Due before today in the org's zone.
-- column: today integer total | Due today.
-- column: soon integer total | Due after today, within the days asked for.
-- column: later integer total | Due after that.
-- column: no_date integer total | Without a day.
-- column: urgent integer total | Of the open ones urgent.
-- key: person
-- filter: person text | lower(btrim(%(person)s::text)) in (lower(coalesce(u.name, '(nobody)')), lower(u.email)) | Whose they are; name, e-mail or (nobody).
-- filter: priority word urgent/high/normal/low | t.priority = %(priority)s | Of this priority.
-- ids: tasks
-- chart: bar person overdue
-- note: ids are in the order they fall due.
select coalesce(u.name, '(nobody)') as person, count(*)::int as open,
  (count(*) filter (where t.due_on < %(today)s::date))::int as overdue,
  (count(*) filter (where t.due_on = %(today)s::date))::int as today,
  (count(*) filter (where t.due_on - %(today)s::date between 1 and greatest(%(days)s::int, 0)))::int as soon,
  (count(*) filter (where t.due_on - %(today)s::date > greatest(%(days)s::int, 0)))::int as later,
  (count(*) filter (where t.due_on is null))::int as no_date,
  (count(*) filter (where t.priority = 'urgent'))::int as urgent,
  (array_agg(t.id order by t.due_on nulls last, t.id))[1:20] as ids, count(*)::int as id_count
from crm.tasks t
left join crm.users u on u.id = t.assignee_id
where t.org_id = %(org)s and t.status = 'open' and t.archived_at is null{filters}
group by t.assignee_id, u.name
order by overdue desc, open desc, person
limit 500
