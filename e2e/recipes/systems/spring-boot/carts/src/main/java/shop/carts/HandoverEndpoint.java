package shop.carts;

import java.net.URI;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.client.RestClientException;

/** `POST /actuator/handover`: gives all carts to the peers that are in service. 200: none is left; 202: ask again; 503: later. */
@Component
@Endpoint(id = "handover")
class HandoverEndpoint {

  private static final Logger LOG = LoggerFactory.getLogger(HandoverEndpoint.class);
  private static final int CARTS_AT_ONCE = 500;

  private final CartStore store;
  private final Peers peers;

  HandoverEndpoint(CartStore store, Peers peers) {
    this.store = store;
    this.peers = peers;
  }

  /** Without parameters: Actuator reads flat JSON only, so it could not be told the members as a hook knows them. */
  @WriteOperation
  WebEndpointResponse<Map<String, Integer>> handOver() {
    List<URI> receivers = peers.inService();
    if (receivers.isEmpty() && store.size() > 0) {
      return answer(WebEndpointResponse.STATUS_SERVICE_UNAVAILABLE);
    }
    try {
      for (int share = 0; share < receivers.size(); share++) {
        give(receivers.get(share), share, receivers.size());
      }
    } catch (RestClientException e) {
      LOG.warn("carts stay here for now: {}", e.getMessage());
      return answer(WebEndpointResponse.STATUS_SERVICE_UNAVAILABLE);
    }
    return answer(store.size() > 0 ? HttpStatus.ACCEPTED.value() : WebEndpointResponse.STATUS_OK);
  }

  /** A cart goes to the same receiver when it is tried again: it may have arrived although nobody confirmed it. */
  private void give(URI receiver, int share, int shares) {
    List<Cart> some = store.beginMove(CARTS_AT_ONCE, cart -> Math.floorMod(cart.id().hashCode(), shares) == share);
    boolean arrived = false;
    try {
      peers.give(receiver, some);
      arrived = true;
    } finally {
      store.endMove(some, arrived);
    }
  }

  private WebEndpointResponse<Map<String, Integer>> answer(int status) {
    return new WebEndpointResponse<>(Map.of("progress", store.size()), status);
  }
}
