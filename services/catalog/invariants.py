"""Rows that must not exist in catalog's database. Each query returns the offenders of one business."""

INVARIANTS = {
    "a template names a service that is not in the book": (
        "select template_id from template_versions, jsonb_array_elements_text(terms -> 'service_ids') as n (id)"
        " where not exists (select from services where service_id = n.id::uuid)"
    ),
    "a template names a practitioner who is not in the book": (
        "select template_id from template_versions, jsonb_array_elements_text(terms -> 'practitioner_ids') as n (id)"
        " where not exists (select from staff where staff_id = n.id::uuid)"
    ),
    "a template sells sessions of no service": (
        "select template_id from template_versions where jsonb_array_length(terms -> 'service_ids') = 0"
    ),
    "a version of a template is missing": (
        "select template_id from template_versions group by template_id having count(*) <> max(version)"
    ),
    "a client with a mail address cannot be found": (
        "select client_id from clients"
        " where email is not null and not exists (select from client_words w where w.client_id = clients.client_id)"
    ),
}
