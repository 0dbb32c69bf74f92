// The form by which a held call's simple fields are edited. Only what was changed is sent.

const LINES = /\r?\n/;

/** Return the form's element, and what reads it: the changed arguments by name, or null with the first field marked. */
function formOf(fields, context) {
  const parts = fields.map((field) => ({ field, ...(field.kind === 'rows' ? rows(field, context) : input(field, `f-${field.name}`)) }));
  const read = () => {
    const changed = {};
    for (const { field, element, value } of parts) {
      const given = value();
      if (given instanceof Wrong) return mark(given.input ?? element.querySelector('[id]'), given.message);
      if (JSON.stringify(given) !== JSON.stringify(before(field))) changed[field.name] = given;
    }
    return changed;
  };
  return { element: el('div', { class: 'form' }, parts.map(({ element }) => element)), read };
}

class Wrong {
  constructor(message, input) {
    this.message = message;
    this.input = input;
  }
}

/** Mark a field as wrong and go there. */
function mark(input, message) {
  const id = `${input.id}-wrong`;
  document.getElementById(id)?.remove();
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', id);
  input.after(el('p', { id, class: 'wrong', role: 'alert' }, visible(message)));
  input.addEventListener('input', () => (input.removeAttribute('aria-invalid'), document.getElementById(id)?.remove()), { once: true });
  input.focus();
  return null;
}

/** Return a field's value as `read` would return it untouched. */
function before(field, value = field.value) {
  if (field.kind === 'rows') return asList(value);
  if (field.kind === 'flag') return value === true;
  return comparable(field, field.kind === 'list' ? asList(value).join('\n') : asText(value));
}

/** Return what is typed as the argument it stands for; null leaves one out. */
function comparable(field, typed) {
  if (typed.trim() === '' && field.kind !== 'list') return null;
  if (field.kind === 'list') return typed.split(LINES).map((line) => line.trim()).filter(Boolean);
  if (field.kind === 'whole') return Number(typed);
  if (field.kind === 'number') return plainNumber(typed);
  return typed;
}

/** Return a number as text without idle zeros, so that 10, 10.0 and "10.00" are one; digits are never lost to floats. */
function plainNumber(typed) {
  const text = typed.trim();
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
}

function input(field, id, value = field.value) {
  const shared = { id, maxlength: field.maxLength, autocomplete: 'off', 'aria-describedby': field.hint ? `${id}-hint` : null };
  const text = field.kind === 'list' ? asList(value).join('\n') : asText(value);
  const makes = {
    long: () => el('textarea', { ...shared, rows: Math.min(12, Math.max(3, text.split(LINES).length + 1)) }),
    list: () => el('textarea', { ...shared, maxlength: null, rows: Math.min(8, Math.max(2, asList(value).length + 1)) }),
    flag: () => el('input', { ...shared, type: 'checkbox' }),
    choice: () => el('select', shared, field.choices.map((choice) => el('option', { value: choice }, asText(choice)))),
    whole: () => el('input', { ...shared, type: 'text', inputmode: 'numeric' }),
    number: () => el('input', { ...shared, type: 'text', inputmode: 'decimal' }),
    date: () => el('input', { ...shared, type: 'date' }),
    text: () => el('input', { ...shared, type: 'text', dir: 'auto' }),
  };
  const control = makes[field.kind]();
  if (field.kind === 'flag') control.checked = value === true;
  else control.value = text;
  const note = field.kind === 'list' ? 'one a line' : null;
  const element = el(
    'div',
    { class: 'field' },
    el('label', { for: id }, visible(field.label), note && el('span', { class: 'soft' }, ` (${note})`)),
    control,
    field.hint && el('p', { class: 'hint', id: `${id}-hint` }, visible(field.hint)),
    hides(text) && el('p', { class: 'wrong' }, 'This holds hidden characters: ', visible(text.slice(0, 300))),
  );
  return { element, value: () => read(field, control) };
}

function read(field, control) {
  if (field.kind === 'flag') return control.checked;
  const typed = control.value;
  if (typed.trim() === '') return field.optional ? comparable(field, typed) : new Wrong('This cannot be empty.', control);
  if (field.kind === 'whole' && !/^\s*-?\d{1,15}\s*$/.test(typed)) return new Wrong('This must be a whole number.', control);
  if (field.kind === 'number' && !/^\s*-?\d{1,15}(\.\d{1,10})?\s*$/.test(typed)) return new Wrong('This must be a number, such as 12.50.', control);
  if ('whole number'.includes(field.kind)) {
    if (field.minimum !== undefined && Number(typed) < field.minimum) return new Wrong(`This must be at least ${field.minimum}.`, control);
    if (field.maximum !== undefined && Number(typed) > field.maximum) return new Wrong(`This may be at most ${field.maximum}.`, control);
  }
  return comparable(field, typed);
}

/** Return a group for each row of a list; a row keeps what the form does not show. */
function rows(field, context) {
  const names = asList(context.rowNames);
  const kept = asList(field.value).map((row, at) => {
    const columns = field.columns.map((column) => ({ column, ...input(column, `f-${field.name}-${at}-${column.name}`, row[column.name]) }));
    const gone = el('input', { type: 'checkbox', id: `f-${field.name}-${at}-gone` });
    const name = names[at] ?? `${field.label} ${at + 1}`;
    const element = el('fieldset', {}, el('legend', {}, visible(name)), el('div', { class: 'columns' }, columns.map((one) => one.element)), asList(field.value).length > 1 && el('label', { class: 'gone', for: gone.id }, gone, ' Leave it out'));
    return { row, columns, gone, element };
  });
  const value = () => {
    const found = [];
    for (const { row, columns, gone } of kept) {
      if (gone.checked) continue;
      const now = { ...row };
      for (const { column, value: given } of columns) {
        const said = given();
        if (said instanceof Wrong) return said;
        if (JSON.stringify(said) === JSON.stringify(before(column, row[column.name]))) continue;
        now[column.name] = said;
      }
      found.push(now);
    }
    return found.length ? found : new Wrong('At least one must stay.', kept[0].gone);
  };
  return { element: el('div', { class: 'rows' }, kept.map(({ element }) => element)), value };
}
