package shop.carts;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import org.springframework.stereotype.Component;

/**
 * The carts that this instance holds. A cart is held by one instance at a time: while it is on its way to another one,
 * whoever asks for it waits.
 */
@Component
class CartStore {

  private final Map<String, Cart> carts = new HashMap<>();
  private final Set<String> moving = new HashSet<>();

  synchronized int size() {
    return carts.size();
  }

  synchronized Cart create() {
    Cart cart = new Cart(UUID.randomUUID().toString(), 0);
    carts.put(cart.id(), cart);
    return cart;
  }

  /** Puts one more item into a cart; empty where this instance does not hold it. */
  synchronized Optional<Cart> addTo(String id) {
    awaitArrival(id);
    return Optional.ofNullable(carts.computeIfPresent(id, (key, cart) -> cart.withOneMore()));
  }

  synchronized Optional<Cart> find(String id) {
    awaitArrival(id);
    return Optional.ofNullable(carts.get(id));
  }

  /** Holds a cart from now on; of two states of the same cart the newer one stays. */
  synchronized void keep(Cart cart) {
    carts.merge(cart.id(), cart, Cart::newerOf);
  }

  synchronized void remove(String id) {
    awaitArrival(id);
    carts.remove(id);
  }

  /** Gives a cart up to the peer that has copied it; false where it has changed since, or is not here. */
  synchronized boolean giveUp(Cart copied) {
    awaitArrival(copied.id());
    return carts.remove(copied.id(), copied);
  }

  /** Begins to move some of the carts that are chosen; {@link #endMove} must follow. */
  synchronized List<Cart> beginMove(int most, Predicate<Cart> chosen) {
    List<Cart> some = carts.values().stream()
        .filter(cart -> !moving.contains(cart.id()) && chosen.test(cart))
        .limit(most)
        .toList();
    some.forEach(cart -> moving.add(cart.id()));
    return some;
  }

  /** Ends a move: the carts are no longer here if they have arrived, otherwise they stay. */
  synchronized void endMove(List<Cart> some, boolean arrived) {
    for (Cart cart : some) {
      moving.remove(cart.id());
      if (arrived) {
        carts.remove(cart.id());
      }
    }
    notifyAll();
  }

  private void awaitArrival(String id) {
    try {
      while (moving.contains(id)) {
        wait();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while cart " + id + " was on its way", e);
    }
  }
}
