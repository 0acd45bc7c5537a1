package shop.carts;

import com.netflix.appinfo.InstanceInfo.InstanceStatus;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpConnectTimeoutException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.http.client.ClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.ClientHttpRequestFactorySettings;
import org.springframework.cloud.client.ServiceInstance;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.cloud.client.serviceregistry.Registration;
import org.springframework.cloud.netflix.eureka.EurekaServiceInstance;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.client.HttpClientErrorException;
import org.springframework.web.client.ResourceAccessException;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestClientException;
import org.springframework.web.server.ResponseStatusException;

/** The other instances, as the registry lists them: those that are out of service too, for they still hold carts. */
@Component
class Peers {

  private static final Logger LOG = LoggerFactory.getLogger(Peers.class);
  private static final int ROUNDS = 4;

  private final DiscoveryClient registry;
  private final Registration self;
  private final RestClient http;

  Peers(DiscoveryClient registry, Registration self) {
    this.registry = registry;
    this.self = self;
    ClientHttpRequestFactorySettings patience = ClientHttpRequestFactorySettings.defaults()
        .withConnectTimeout(Duration.ofSeconds(1))
        .withReadTimeout(Duration.ofSeconds(5));
    this.http = RestClient.builder().requestFactory(ClientHttpRequestFactoryBuilder.jdk().build(patience)).build();
  }

  /**
   * Takes a cart over from whoever holds it; empty where no peer does. That is believed only when all have said so twice
   * in a row: while they are asked one after the other, the cart may move from one that is still to be asked to one that
   * was. Answers 503 where a peer does not say, because a cart begun anew would hide the one that it may hold.
   */
  Optional<Cart> take(String id) {
    Cart taken = null;
    int saidNo = 0;
    for (int i = 0; i < ROUNDS; i++) {
      boolean allSaidNo = true;
      for (URI peer : all()) {
        try {
          Optional<Cart> copy = copy(peer, id);
          if (copy.isPresent()) {
            allSaidNo = false;
            taken = taken == null ? copy.get() : Cart.newerOf(taken, copy.get());
            askToGiveUp(peer, copy.get());
          }
        } catch (RestClientException e) {
          LOG.warn("{} does not say whether it holds cart {}: {}", peer, id, e.getMessage());
          allSaidNo = false;
        }
      }
      saidNo = allSaidNo ? saidNo + 1 : 0;
      if (taken != null && saidNo == 1) {
        return Optional.of(taken);
      }
      if (saidNo == 2) {
        LOG.warn("none of {} holds cart {}", all(), id);
        return Optional.empty();
      }
    }
    if (taken == null) {
      throw new ResponseStatusException(HttpStatus.SERVICE_UNAVAILABLE, "it is not known who holds cart " + id);
    }
    return Optional.of(taken);
  }

  /** Gives carts to a peer, and returns once it holds them. */
  void give(URI peer, List<Cart> carts) {
    http.post().uri(peer.resolve("/peers/carts")).body(carts).retrieve().toBodilessEntity();
  }

  /** The addresses of the peers that are UP, always in the same order. */
  List<URI> inService() {
    return listed().filter(peer -> peer.getInstanceInfo().getStatus() == InstanceStatus.UP)
        .map(ServiceInstance::getUri)
        .sorted()
        .toList();
  }

  private List<URI> all() {
    return listed().map(ServiceInstance::getUri).toList();
  }

  private Stream<EurekaServiceInstance> listed() {
    return registry.getInstances(self.getServiceId()).stream()
        .filter(instance -> !self.getInstanceId().equals(instance.getInstanceId()))
        .map(EurekaServiceInstance.class::cast);
  }

  /** Empty where the peer does not hold the cart, or is gone: nothing listens at its address. */
  private Optional<Cart> copy(URI peer, String id) {
    try {
      return Optional.ofNullable(http.get().uri(peer.resolve("/peers/carts/" + id)).retrieve().body(Cart.class));
    } catch (HttpClientErrorException.NotFound e) {
      return Optional.empty();
    } catch (ResourceAccessException e) {
      if (e.getCause() instanceof ConnectException || e.getCause() instanceof HttpConnectTimeoutException) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Whether it did is seen when it is asked for the cart again. */
  private void askToGiveUp(URI peer, Cart copy) {
    URI exactly = peer.resolve("/peers/carts/%s?items=%d".formatted(copy.id(), copy.items()));
    http.delete().uri(exactly).exchange((request, response) -> response.getStatusCode());
  }
}
