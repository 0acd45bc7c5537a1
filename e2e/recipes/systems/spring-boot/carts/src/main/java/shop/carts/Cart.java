package shop.carts;

/** A cart and how many items were put into it; the number only grows, so the higher one is the newer state. */
record Cart(String id, int items) {

  Cart withOneMore() {
    return new Cart(id, items + 1);
  }

  static Cart newerOf(Cart one, Cart other) {
    return one.items >= other.items ? one : other;
  }
}
