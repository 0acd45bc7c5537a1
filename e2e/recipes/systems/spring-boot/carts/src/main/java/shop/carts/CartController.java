package shop.carts;

import java.util.List;
import java.util.Optional;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/** What shoppers ask, and what instances ask each other. */
@RestController
class CartController {

  private static final long QUOTE_MILLISECONDS = 1500;

  private final CartStore store;
  private final Peers peers;

  CartController(CartStore store, Peers peers) {
    this.store = store;
    this.peers = peers;
  }

  @PostMapping("/carts")
  @ResponseStatus(HttpStatus.CREATED)
  Cart create() {
    return store.create();
  }

  /** Puts an item into a cart. One that nobody holds any more begins anew, as an expired session does. */
  @PostMapping("/carts/{id}/items")
  Cart add(@PathVariable String id) {
    return store.addTo(id).orElseGet(() -> {
      store.keep(peers.take(id).orElseGet(() -> new Cart(id, 0)));
      return store.addTo(id).orElseThrow(() -> new IllegalStateException("cart " + id + " left while it was asked for"));
    });
  }

  @GetMapping("/carts/{id}")
  ResponseEntity<Cart> get(@PathVariable String id) {
    return ResponseEntity.of(here(id));
  }

  /** What delivery costs; a slow request, because a carrier is asked. */
  @GetMapping("/carts/{id}/quote")
  ResponseEntity<Cart> quote(@PathVariable String id) throws InterruptedException {
    Thread.sleep(QUOTE_MILLISECONDS);
    return ResponseEntity.of(here(id));
  }

  @DeleteMapping("/carts/{id}")
  @ResponseStatus(HttpStatus.NO_CONTENT)
  void delete(@PathVariable String id) {
    store.remove(id);
  }

  @GetMapping("/peers/carts/{id}")
  ResponseEntity<Cart> copy(@PathVariable String id) {
    return ResponseEntity.of(store.find(id));
  }

  @DeleteMapping("/peers/carts/{id}")
  ResponseEntity<Void> giveUp(@PathVariable String id, @RequestParam int items) {
    return ResponseEntity.status(store.giveUp(new Cart(id, items)) ? HttpStatus.NO_CONTENT : HttpStatus.CONFLICT).build();
  }

  @PostMapping("/peers/carts")
  @ResponseStatus(HttpStatus.NO_CONTENT)
  void keep(@RequestBody List<Cart> carts) {
    carts.forEach(store::keep);
  }

  /** A cart that no peer holds may have come here while they were asked. */
  private Optional<Cart> here(String id) {
    return store.find(id).or(() -> {
      peers.take(id).ifPresent(store::keep);
      return store.find(id);
    });
  }
}
