import pytest
import yaml

from features.declaration import DECLARATION_FILE, DeclarationError, load

# docs/seams.md, version 1: the order is the ranker's wire format
COLUMNS = """user_age number, user_city category, user_segment category, user_impressions_7d number,
user_clicks_7d number, user_ctr_7d number, user_clicks_30d number, user_days_since_click number, item_topic category,
item_author_id category, item_age_days number, item_impressions_7d number, item_clicks_7d number, item_ctr_7d number,
item_clicks_30d number, topic_affinity number, author_affinity number, hour number, weekday number, position number"""


def test_the_rankers_columns_are_those_of_the_seam_in_order():
    agreed = [tuple(column.split()) for column in COLUMNS.replace("\n", " ").split(", ")]
    assert [(column.name, column.kind) for column in load().ranker] == agreed


def test_crosses_look_a_users_map_up_with_the_items_value():
    assert [(cross.name, cross.user, cross.item, cross.default) for cross in load().crosses] == [
        ("topic_affinity", "topic_shares_30d", "topic", 0.0),
        ("author_affinity", "author_shares_30d", "author_id", 0.0),
    ]


def test_index_documents_carry_every_item_feature_the_ranker_needs():
    declared = load()
    needed = {column.name for column in declared.ranker if column.entity == "item"}
    assert needed <= set(declared.item_fields)


def test_the_longest_window_is_known():
    assert load().longest_window_days() == 30


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda d: d["ranker"].append("user_shoe_size"), "user_shoe_size is used but", id="use"),
        pytest.param(lambda d: d["groups"]["user"]["features"]["age"].update(kind="colour"), "'colour'", id="kind"),
        pytest.param(lambda d: d["groups"]["item"]["features"]["ctr_7d"].update(by="views"), "item_views", id="ratio"),
        pytest.param(lambda d: d["crosses"]["topic_affinity"].update(user="age"), "topic_affinity", id="cross"),
        pytest.param(lambda d: d.pop("seen"), "seen missing", id="section"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(tmp_path, change, says):
    document = yaml.safe_load(DECLARATION_FILE.read_text())
    change(document)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    with pytest.raises(DeclarationError, match=says):
        load(tmp_path / "features.yaml")
