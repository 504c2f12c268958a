"""`products` as a `Model`."""

from makeup_kernels import InvalidInputError
from makeup_sdk.faces.types import FaceAnalysis
from makeup_sdk.makeup.base import MAKEUP_REGIONS, Makeup
from makeup_sdk.makeup.product_json import ProductMakeup
from makeup_sdk.models.products.paint import ProductsPainter


class ProductsModel:
    """Lipstick, shadow, liner, … without a network; does not read photos. See `Model`."""

    name = "products"
    kind = ProductMakeup.kind
    wears = frozenset({kind})
    regions = frozenset(MAKEUP_REGIONS)

    def encode(self, face: FaceAnalysis) -> Makeup:
        """Raises InvalidInputError: products are chosen, not read."""
        raise InvalidInputError(
            "model 'products' reads no photo; give it Look.from_products([...]), or choose the "
            "model 'mobile'"
        )

    def painter(self, makeup: ProductMakeup) -> ProductsPainter:
        """Prepare products for painting."""
        return ProductsPainter(makeup.products)
