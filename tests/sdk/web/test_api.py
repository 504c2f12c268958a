import base64
import io
import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from makeup_sdk import Look, Region
from makeup_sdk.cosmetics import schema
from makeup_sdk.looks.shipped import SHIPPED_LOOKS
from makeup_sdk.models.registry import shipped_models
from makeup_sdk.web.app import create_app
from makeup_sdk.web.limits import Limits
from makeup_sdk.web.outfits import SKINS

LIPS = {"colors": {"lips": "#b3123a"}}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_page_and_its_parts(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>Makeup try-on</title>" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    for part in ("app.js", "style.css", "icon.svg", "manifest.webmanifest", "icon-512.png"):
        assert client.get(f"/{part}").status_code == 200


def test_reference_of_the_api(client: TestClient) -> None:
    assert client.get("/openapi.json").json() == client.get("/v1/openapi.json").json()
    page = client.get("/docs")
    assert "<h1>The API</h1>" in page.text
    for part in ("docs.js", "docs.css"):
        assert client.get(f"/docs/{part}").status_code == 200


def test_gallery(client: TestClient) -> None:
    looks = client.get("/v1/looks").json()
    assert [look["id"] for look in looks] == [
        "red-classic",
        "coral-natural",
        "teal-smoky",
        "berry-evening",
    ]
    picture = client.get(looks[0]["thumbnail"])
    assert decode(picture.content).shape == (512, 512, 3)
    assert client.get("/v1/looks/none.jpg").status_code == 404
    assert client.get("/v1/looks/..%2fdemo.jpg").status_code == 404


def test_designs_faces_models_and_products(client: TestClient) -> None:
    designs = client.get("/v1/designs").json()
    assert [design["name"] for design in designs] == list(SHIPPED_LOOKS)
    faces, worn = {}, {}
    for skin in ("light", "medium", "dark"):
        faces[skin] = decode(client.get(f"/v1/faces/{skin}.jpg").content).mean()
        answer = client.get(f"/v1/designs/berry/{skin}.jpg")
        assert decode(answer.content).shape == (192, 192, 3)
        worn[skin] = answer.content
    assert len(set(worn.values())) == 3
    assert client.get("/v1/designs/berry/dark.jpg").content == worn["dark"]
    for path in ("designs/none/dark.jpg", "designs/berry/none.jpg", "faces/none.jpg"):
        assert client.get(f"/v1/{path}").status_code == 404
    models = {model["name"]: model for model in client.get("/v1/models").json()}
    offered = [name for name in shipped_models() if name != "products"]
    assert list(models) == offered
    transfers = {"mobile", "psgan", "psgan-sr", "psgan-pose", "portrait-edit"}
    assert transfers | {"region-gan"} <= set(models)
    assert models["region-gan"]["styles"][:2] == ["bare", "retro"]
    assert models["mobile"] == {
        "name": "mobile",
        "does": "transfer of what a photo shows; the default",
        "styles": [],
        "removes": False,
    }
    assert client.get("/v1/products").json() == schema()


def test_products_as_a_look_and_over_one(client: TestClient, photo: bytes) -> None:
    lipstick = {"product": "lipstick", "color": "#c41e24", "opacity": 0.9}

    def worn(outfit: dict) -> np.ndarray:
        request = {"image": b64(photo), "outfit": outfit, "format": "png"}
        answer = client.post("/v1/apply", json=request)
        told = json.loads(answer.headers["x-result"])
        assert [face["status"] for face in told["faces"]] == ["ok"]
        assert told["skin"] == "medium"
        assert told["milliseconds"] > 0
        return decode(answer.content).astype(int)

    alone = worn({"look": {"products": [lipstick]}})
    np.testing.assert_array_equal(alone, worn({"products": [lipstick]}))
    look = {"gallery": "teal-smoky"}
    over = worn({"look": look, "products": [lipstick]})
    below = worn({"look": look})
    lips = (slice(350, 390), slice(220, 290))
    assert (over - below)[lips].any()
    assert not (over - below)[:300].any()


def test_styles_by_name(client: TestClient, photo: bytes) -> None:
    outfit = {"look": {"style": "retro"}, "model": "region-gan"}
    answer = client.post("/v1/apply", json={"image": b64(photo), "outfit": outfit, "format": "png"})
    assert answer.headers["x-faces"] == "1"
    changed = np.abs(decode(answer.content).astype(int) - decode(photo)).max(axis=2) > 8
    assert 0.001 < changed.mean() < 0.3
    pictures = {
        client.get(f"/v1/styles/region-gan/{style}/dark.jpg").content
        for style in ("retro", "smoky")
    }
    assert len(pictures) == 2
    assert all(decode(picture).shape == (192, 192, 3) for picture in pictures)
    for path in ("region-gan/none/dark", "region-gan/retro/none", "mobile/retro/dark"):
        assert client.get(f"/v1/styles/{path}.jpg").status_code == 404


def test_makeup_is_taken_off_by_models_that_can(client: TestClient, photo: bytes) -> None:
    removers = [model["name"] for model in client.get("/v1/models").json() if model["removes"]]
    assert set(removers) <= {"ssat"}
    for name in removers:
        outfit = {"look": {"bare": True}, "model": name}
        answer = client.post("/v1/apply", json={"image": b64(photo), "outfit": outfit})
        assert answer.headers["x-faces"] == "1"


def test_one_of_two_faces_wears_the_look(client: TestClient) -> None:
    left, right = (decode(client.get(f"/v1/faces/{skin}.jpg").content) for skin in SKINS[:2])
    pair = np.hstack([left, right])
    image = b64(cv2.imencode(".png", pair)[1].tobytes())
    for x, chosen in ((0.25, 0), (0.75, 1)):
        request = {"image": image, "outfit": LIPS, "face": [x, 0.5], "format": "png"}
        answer = client.post("/v1/apply", json=request)
        faces = json.loads(answer.headers["x-result"])["faces"]
        painted = {face["box"][0] > 0.5: face["painted"] for face in faces}
        assert painted == {chosen == 0: False, chosen == 1: True}
        changed = (decode(answer.content) != pair).any(axis=2)
        assert changed[:, : left.shape[1]].any() == (chosen == 0)
        assert changed[:, left.shape[1] :].any() == (chosen == 1)
    for wrong in ([0.5], [2, 0], "left"):
        answer = client.post("/v1/apply", json={"image": image, "outfit": LIPS, "face": wrong})
        assert answer.json()["error"].startswith("face")


def test_skin_of_the_shipped_faces(client: TestClient) -> None:
    for skin in ("light", "medium", "dark"):
        image = b64(client.get(f"/v1/faces/{skin}.jpg").content)
        answer = client.post("/v1/apply", json={"image": image, "outfit": LIPS})
        assert json.loads(answer.headers["x-result"])["skin"] == skin


def test_apply(client: TestClient, photo: bytes) -> None:
    answer = client.post("/v1/apply", json={"image": b64(photo), "outfit": LIPS, "format": "png"})
    assert answer.status_code == 200
    assert answer.headers["x-faces"] == "1"
    before, after = decode(photo), decode(answer.content)
    changed = (before != after).any(axis=2)
    assert 0.001 < changed.mean() < 0.05
    assert not changed[:200].any()


def test_nothing_worn_gives_the_photo_back(client: TestClient, photo: bytes) -> None:
    request = {"image": b64(photo), "outfit": {}, "format": "png"}
    answer = client.post("/v1/apply", json=request)
    np.testing.assert_array_equal(decode(answer.content), decode(photo))


def test_own_reference_travels_as_a_look_file(client: TestClient, photo: bytes) -> None:
    reference = client.get("/v1/looks/berry-evening.jpg").content
    made = client.post("/v1/looks", json={"photo": b64(reference), "title": "mine"}).json()
    assert made["title"] == "mine"
    look = Look.from_bytes(base64.b64decode(made["file"]), "file")
    assert len(look.regions) == 4
    outfit = {"look": {"file": made["file"]}, "strength": {"skin": 0}}
    answer = client.post("/v1/apply", json={"image": b64(photo), "outfit": outfit})
    assert answer.headers["x-faces"] == "1"


def test_mix_and_colours_over_a_look(client: TestClient) -> None:
    from makeup_sdk.faces import BundledFaceAnalyzer
    from makeup_sdk.web.outfits import Gallery, Outfit

    gallery = Gallery(BundledFaceAnalyzer(threads=1))
    red, teal = {"gallery": "red-classic"}, {"gallery": "teal-smoky"}
    mixed = gallery.dress(Outfit.model_validate({"look": red, "second": teal, "share": 1.0}))
    assert mixed is not None
    wanted = gallery.looks["teal-smoky"].makeup
    for region, part in mixed.makeup.maps.items():
        seen = wanted.maps[region].seen > 0.01
        assert seen.any()
        np.testing.assert_allclose(part.lab[seen], wanted.maps[region].lab[seen], atol=1e-3)
    over = gallery.dress(Outfit.model_validate({"look": red, **LIPS}))
    assert over is not None
    assert over.regions == {Region.LIPS, Region.SKIN, Region.EYES, Region.BROWS}
    assert gallery.dress(Outfit()) is None


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/apply", {}, "image: Field required"),
        ("/v1/apply", {"image": "###", "outfit": LIPS}, "image: not base64"),
        ("/v1/apply", {"image": b64(b"GIF89a"), "outfit": LIPS}, "not a JPEG, PNG or WebP"),
        ("/v1/apply", {"image": "", "outfit": {"colors": {"lips": "red"}}}, "not a JPEG"),
        (
            "/v1/apply",
            {"image": "", "outfit": {"strength": {"lips": 2}}},
            "less than or equal to 1",
        ),
        ("/v1/apply", {"image": "", "outfit": {"nose": 1}}, "Extra inputs are not permitted"),
        ("/v1/looks", {}, "no colour given"),
        ("/v1/looks", {"colors": {"lips": "rot"}}, "'rot' is not a colour"),
        ("/v1/looks", {"photo": b64(b"\xff\xd8\xff\xe0" + b"\0" * 99)}, "not a JPEG"),
    ],
)
def test_bad_requests_get_one_clear_line(
    client: TestClient, path: str, body: dict, message: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("outfit", "message"),
    [
        ({"look": {"gallery": "x"}}, "no look 'x' in the gallery; it has red-classic"),
        ({"look": {}}, "give one of gallery, file, products, style and bare"),
        (
            {"look": {"gallery": "x", "products": []}},
            "give one of gallery, file, products, style and bare",
        ),
        ({"products": [{"product": "lipstik"}]}, "did you mean 'lipstick'?"),
        ({"look": {"products": [{"product": "lipstick"}]}}, "color is missing"),
        ({"look": {"bare": True}}, "takes makeup off, which model 'mobile' cannot do"),
        ({"look": {"style": "retro"}}, "choose a model that wears 'style'"),
        ({"look": {"style": "x"}, "model": "region-gan"}, "style: 'x' is unknown"),
        ({**LIPS, "model": "products"}, "is unknown here; expected one of mobile"),
        ({"look": {"file": b64(b"PK not a look")}}, "not a look file or damaged"),
        ({"colors": {"lips": "rot"}}, "'rot' is not a colour"),
    ],
)
def test_bad_outfits(client: TestClient, photo: bytes, outfit: dict, message: str) -> None:
    answer = client.post("/v1/apply", json={"image": b64(photo), "outfit": outfit})
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_no_face_in_reference(client: TestClient) -> None:
    blank = cv2.imencode(".png", np.full((90, 90, 3), 128, np.uint8))[1].tobytes()
    answer = client.post("/v1/looks", json={"photo": b64(blank)})
    assert "no face found in 90x90" in answer.json()["error"]


def claiming(size: tuple[int, int]) -> bytes:
    """A PNG of one pixel whose header claims another size."""
    file = io.BytesIO()
    Image.new("1", (1, 1)).save(file, "PNG")
    data = file.getvalue()
    header = b"IHDR" + struct.pack(">II", *size) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("size", [(1001, 1000), (11000, 11000), (30000, 30000)])
def test_decompression_bombs_are_not_decoded(client: TestClient, size: tuple[int, int]) -> None:
    picture = claiming(size)
    with Image.open(io.BytesIO(claiming((1001, 1000)))) as opened:
        assert opened.size == (1001, 1000)
    answer = client.post("/v1/looks", json={"photo": b64(picture)})
    assert "picture: too large; send at most 1000000 pixels" in answer.json()["error"]


def test_large_bodies_are_refused(client: TestClient, limits: Limits) -> None:
    body = b"x" * (2 * limits.body_bytes)
    assert client.post("/v1/apply", content=body).status_code == 413
    chunks = (body[i : i + 65536] for i in range(0, len(body), 65536))
    answer = client.post("/v1/apply", content=chunks)  # no content-length
    assert answer.status_code >= 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", ""])
def test_foreign_hosts_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/v1/looks", headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_loopback_hosts_are_served(client: TestClient, host: str) -> None:
    assert client.get("/v1/looks", headers={"host": host}).status_code == 200


def test_foreign_origins_are_refused(client: TestClient) -> None:
    answer = client.post("/v1/looks", json=LIPS, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    own = client.post("/v1/looks", json=LIPS, headers={"origin": "http://localhost:8000"})
    assert own.status_code == 200


def test_token(limits: Limits) -> None:
    app = create_app(limits=limits, loopback=False, token="s3cret", threads=1)
    stranger = TestClient(app, base_url="http://shop.example")
    assert stranger.get("/").status_code == 401
    assert stranger.get("/?token=wrong").status_code == 401
    bearer = {"authorization": "Bearer s3cret"}
    assert stranger.get("/v1/looks", headers=bearer).status_code == 200
    assert stranger.get("/?token=s3cret").status_code == 200
    assert stranger.get("/app.js").status_code == 200  # by the cookie of the page
    with pytest.raises(Exception), TestClient(app).websocket_connect("/v1/live"):  # noqa: B017
        pass


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/%2e%2e/%2e%2e/engine.py", "/..%2fapp.py"])
def test_no_path_leads_out_of_the_page(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 405)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/none.html", 404),
        ("GET", "/v1/looks/" + "x" * 500 + ".jpg", 404),
        ("DELETE", "/v1/looks", 405),
        ("POST", "/v1/apply", 422),
    ],
)
def test_errors_have_one_shape(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert len(answer.json()["error"]) < 120


def test_openapi_document(client: TestClient) -> None:
    document = client.get("/v1/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/apply",
        "/v1/designs",
        "/v1/designs/{name}/{skin}.jpg",
        "/v1/edit",
        "/v1/editing",
        "/v1/faces/{skin}.jpg",
        "/v1/label",
        "/v1/looks",
        "/v1/looks/{look_id}.jpg",
        "/v1/models",
        "/v1/products",
        "/v1/styles/{model}/{style}/{skin}.jpg",
    }
    body = document["paths"]["/v1/apply"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ApplyRequest"}
    schemas = document["components"]["schemas"]
    assert {"ApplyRequest", "EditRequest", "LabelRequest", "LookRequest"} <= set(schemas)
    assert {"Outfit", "LiveRequest", "ColorCard"} <= set(schemas)
    assert schemas["ApplyRequest"]["properties"]["outfit"] == {
        "$ref": "#/components/schemas/Outfit"
    }


def test_tone_of_a_photo_and_of_what_has_none(client: TestClient, photo: bytes) -> None:
    request = {"image": b64(photo), "outfit": {"look": {"gallery": "red-classic"}, "tone": 1}}
    toned = decode(client.post("/v1/apply", json=request).content).astype(int)
    request["outfit"]["tone"] = 0
    plain = decode(client.post("/v1/apply", json=request).content).astype(int)
    assert np.abs(toned - plain)[300, 200:300].mean() > 2
    request["outfit"] = {**LIPS, "tone": 1}
    answer = client.post("/v1/apply", json=request)
    assert "has no shade of skin" in answer.json()["error"]
